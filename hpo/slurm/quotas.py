"""What this user may submit: the accounts, and how many jobs the limits of accounts and QOS leave.

Asked only of clusters that enforce such limits. What does not answer, or is not shown to ordinary users, is left to
sbatch to refuse.
"""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hpo.errors import SchedulerError, did_you_mean
from hpo.slurm import commands, request


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `most` jobs; `there` of them exist. name: Slurm's word. owner: whose it is, "account lab"."""

    name: str
    owner: str
    most: int
    there: int

    @property
    def room(self) -> int:
        """How many more jobs it lets in."""
        return max(0, self.most - self.there)

    def __str__(self) -> str:
        there = f"; {self.there} there now" if self.there else ""
        return f"{self.owner} takes {self.most} at a time ({self.name}{there})"


@dataclass(frozen=True, slots=True)
class Quota:
    """What holds for one user and input file. accounts: that may be charged. qos: that may be asked for there.

    submit: the limit that leaves the least. running: the limit on jobs that run at a time. minutes, owner: the longest
    walltime, and whose limit it is.
    """

    accounts: tuple[str, ...] = ()
    qos: tuple[str, ...] = ()
    submit: Limit | None = None
    running: Limit | None = None
    minutes: int | None = None
    owner: str = ""


def read(control: Mapping[str, Any], enforced: str, partition: str) -> Quota:
    """Ask Slurm. enforced: AccountingStorageEnforce. partition: in which the jobs run; "" when it is not known."""
    if not re.search(r"associations|limits|qos|safe|all", enforced, re.I):
        return Quota()
    user = _user()
    answer = _ask("scontrol", "-o", "show", "assoc_mgr", f"users={user}", "flags=assoc,qos")
    records = [_fields(line) for line in answer.splitlines() if line.startswith("ClusterName=")]
    mine = [record for record in records if record.get("UserName", "").partition("(")[0] == user]
    accounts = tuple(dict.fromkeys(record["Account"] for record in mine))
    custom = request.Custom.of(control)
    default = next((record["Account"] for record in mine if record.get("DefAssoc") == "Yes"), "")
    account = control["project"] or custom.value("account") or default
    chain = [*(r for r in mine if r["Account"] == account and r["Partition"] in ("", partition)),
             *_parents(records, account)]  # fmt: skip
    if not re.search(r"limits|safe|all", enforced, re.I):
        return Quota(accounts)
    default, allowed = _qos(user, account, partition)
    limits = [*_of_accounts(chain), *_of_qos(custom.value("qos") or default, partition, answer)]
    walls = [(int(wall), f"account {r['Account']}") for r in chain if (wall := r.get("MaxWallPJ", "")).isdigit()]
    minutes, owner = min(walls, default=(None, ""))
    return Quota(
        accounts,
        allowed,
        submit=min((each for each in limits if "Submit" in each.name), key=lambda each: each.room, default=None),
        running=min((each for each in limits if "Submit" not in each.name), key=lambda each: each.most, default=None),
        minutes=minutes,
        owner=owner,
    )


def excesses(control: Mapping[str, Any], quota: Quota) -> Iterator[tuple[str, str]]:
    """Yield what Slurm would refuse, or keep waiting for ever: the keyword that says it, and why."""
    account = control["project"] or request.Custom.of(control).value("account")
    if account and quota.accounts and account not in quota.accounts:
        yours = f"only {', '.join(quota.accounts)}.{did_you_mean(account, quota.accounts)}"
        yield "project", f"you have no account {account!r} on this cluster, {yours}"
    qos = request.Custom.of(control).value("qos")
    if qos and quota.qos and qos not in quota.qos:
        yours = f"only {', '.join(quota.qos)}.{did_you_mean(qos, quota.qos)}"
        yield "custom_sbatch_args", f"you have no QOS {qos!r} in this account, {yours}"
    if quota.submit is not None and not quota.submit.room:
        yield "nworkers", f"no job can be submitted now: {quota.submit}; wait until some have ended"
    wanted = request.walltime(control)
    if quota.minutes is not None and wanted is not None and wanted > quota.minutes * 60:
        allowed = request.clock(quota.minutes * 60)
        yield "walltime", f"walltime {request.clock(wanted)} is longer than {quota.owner} allows, {allowed}"


def remarks(tasks: int, what: str, quota: Quota) -> Iterator[tuple[str, str]]:
    """Yield what will be otherwise than asked for. tasks: how many there are to be. what: "workers" or "trials"."""
    if quota.submit is not None and 0 < quota.submit.room < tasks:
        few = f"{quota.submit.room} of {tasks} {what} are submitted now: {quota.submit}"
        rest = "they run all trials" if what == "workers" else "'hpo resume' submits others later"
        yield "nworkers", f"{few}; {rest}"
    if quota.running is not None and quota.running.most < tasks and what == "workers":
        yield "nworkers", f"{quota.running.most} of {tasks} workers run at a time: {quota.running}"


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _ask(*command: str) -> str:
    try:
        return commands.ask(*command)
    except SchedulerError:
        return ""


def _fields(line: str) -> dict[str, str]:
    return dict(re.findall(r"([\w/]+)=(\S*)", line))


def _parents(records: list[dict[str, str]], account: str) -> Iterator[dict[str, str]]:
    """The accounts above a user's: what all of their users have together counts there."""
    by_name = {record["Account"]: record for record in records if not record.get("UserName")}
    seen: set[str] = set()
    while account in by_name and account not in seen:
        seen.add(account)
        yield by_name[account]
        account = by_name[account].get("ParentAccount", "").partition("(")[0]


def _of_accounts(chain: list[dict[str, str]]) -> Iterator[Limit]:
    for record in chain:
        # MaxJobs and MaxSubmitJobs of an account are only what its users inherit.
        own = ("MaxJobs", "MaxSubmitJobs") if record.get("UserName") else ()
        for name in (*own, "GrpJobs", "GrpSubmitJobs"):
            found = re.fullmatch(r"(\d+)\((\d+)\)", record.get(name, ""))
            if found:
                yield Limit(name, f"account {record['Account']}", int(found[1]), int(found[2]))


def _qos(user: str, account: str, partition: str) -> tuple[str, tuple[str, ...]]:
    """The QOS of jobs that name none (Slurm's own default where a site has set no other), and all that there are."""
    answer = _ask("sacctmgr", "-nP", "show", "assoc", f"user={user}", "format=Account,Partition,DefaultQOS,QOS")
    for line in answer.splitlines():
        cells = line.split("|")
        if len(cells) == 4 and cells[0] == account and cells[1] in ("", partition):
            names = tuple(filter(None, cells[3].split(",")))
            return cells[2] or ("normal" if "normal" in names else ""), names
    return "", ()


def _of_qos(job: str, partition: str, state: str) -> Iterator[Limit]:
    """The limits of the QOS of a job, and of that of the partition."""
    of_partition = _fields(_ask("scontrol", "-o", "show", "partition", partition)).get("QoS", "") if partition else ""
    for qos in dict.fromkeys(each for each in (job, of_partition) if each not in ("", "N/A")):
        format_ = "format=MaxJobsPU,MaxSubmitJobsPU,GrpJobs,GrpSubmitJobs"
        cells = _ask("sacctmgr", "-nP", "show", "qos", qos, format_).strip().split("|")
        used = next((line for line in state.splitlines() if line.startswith(f"QOS={qos}(")), "")
        mine = re.search(rf" {os.getuid()}={{(.*?)}}", used.partition("User Limits=")[2])
        for name, cell in zip(("MaxJobsPU", "MaxSubmitJobsPU", "GrpJobs", "GrpSubmitJobs"), cells, strict=False):
            if cell.isdigit():
                there = re.search(rf"\b{name}=\w+\((\d+)\)", (mine[1] if mine else "") if "PU" in name else used)
                yield Limit(name, f"QOS {qos}", int(cell), int(there[1]) if there else 0)
