"""What this user may submit: the accounts, and how many jobs the limits of accounts and QOS leave.

Asked only of clusters that enforce such limits. What does not answer, or is not shown to ordinary users, is left to
sbatch to refuse.
"""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hpo.errors import SchedulerError, did_you_mean
from hpo.slurm import commands, request
from hpo.slurm.queue import seconds

#: What a limit is of, by Slurm's word for it: a QOS and an account have words of their own.
_KINDS = {
    "MaxSubmitJobsPU": "submitted", "MaxSubmitJobs": "submitted", "GrpSubmitJobs": "submitted together",
    "MaxJobsPU": "running", "MaxJobs": "running", "GrpJobs": "running together",
    "MaxWall": "walltime",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `most` jobs (or seconds); `there` exist. name: Slurm's word. owner: whose it is, "account lab"."""

    name: str
    owner: str
    most: int
    there: int = 0

    @property
    def room(self) -> int:
        """How many more jobs it lets in."""
        return max(0, self.most - self.there)

    def __str__(self) -> str:
        there = f"; {self.there} there now" if self.there else ""
        return f"{self.owner} takes {self.most} at a time ({self.name}{there})"


@dataclass(frozen=True, slots=True)
class Quota:
    """What holds for one user and input file. accounts: that may be charged. qos: that may be asked for there."""

    accounts: tuple[str, ...] = ()
    qos: tuple[str, ...] = ()
    limits: tuple[Limit, ...] = ()

    @property
    def submit(self) -> Limit | None:
        """The limit that lets in the fewest jobs."""
        return min(self._of("submitted"), key=lambda limit: limit.room, default=None)

    @property
    def running(self) -> Limit | None:
        """The limit that lets the fewest run at a time."""
        return min(self._of("running"), key=lambda limit: limit.most, default=None)

    @property
    def walltime(self) -> Limit | None:
        """The limit of a job's seconds."""
        return min(self._of("walltime"), key=lambda limit: limit.most, default=None)

    def _of(self, kind: str) -> list[Limit]:
        return [limit for limit in self.limits if _KINDS[limit.name].startswith(kind)]


def read(control: Mapping[str, Any], enforced: str, cluster: str, partition: str) -> Quota:
    """Ask Slurm.

    enforced: AccountingStorageEnforce. cluster: its name. partition: in which the jobs run; "" when it is not known.
    """
    if not re.search(r"associations|limits|qos|safe|all", enforced, re.I):
        return Quota()
    user, custom = _user(), request.Custom.of(control)
    state = _ask("scontrol", "-o", "show", "assoc_mgr", f"users={user}", "flags=assoc,qos")
    records = [_fields(line) for line in state.splitlines() if line.startswith("ClusterName=")]
    mine = [record for record in records if record.get("UserName", "").partition("(")[0] == user]
    accounts = tuple(dict.fromkeys(record["Account"] for record in mine))
    if not re.search(r"limits|safe|all", enforced, re.I):
        return Quota(accounts)
    usual = next((record["Account"] for record in mine if record.get("DefAssoc") == "Yes"), "")
    account = (control["project"] or custom.value("account") or usual).casefold()
    qos, allowed = _qos(user, account, cluster, partition)
    wanted = _names(custom.value("qos")) or [qos]
    if len(wanted) > 1:  # a job gets one of them: sbatch says what it may
        return Quota(accounts, allowed)
    chain = _of_partition([record for record in mine if record["Account"] == account], partition)
    of_accounts = [*_of_accounts([*chain, *_parents(records, account)])]
    levels = [*_of_qos(wanted[0], partition, state), of_accounts]
    return Quota(accounts, allowed, tuple(_holding(levels)))


def _names(listed: str) -> list[str]:
    """The names of a list, in small letters, as Slurm keeps accounts and QOS: it takes them in any."""
    return [name for name in listed.casefold().split(",") if name]


def _of_partition(records: Sequence[dict[str, str]], partition: str) -> list[dict[str, str]]:
    """Of a user's associations with one account that with the partition, else the general one: Slurm takes one."""
    own = [record for record in records if record["Partition"] == partition]
    return own or [record for record in records if not record["Partition"]]


def _holding(levels: Sequence[Sequence[Limit]]) -> Iterator[Limit]:
    """Of each kind those limits that hold: the first level that sets any, says Slurm, is the one that counts."""
    known: set[str] = set()
    for level in levels:
        yield from (limit for limit in level if _KINDS[limit.name] not in known)
        known |= {_KINDS[limit.name] for limit in level}


def excesses(control: Mapping[str, Any], quota: Quota) -> Iterator[tuple[str, str]]:
    """Yield what Slurm would refuse, or keep waiting for ever: the keyword that says it, and why."""
    account = control["project"] or request.Custom.of(control).value("account")
    if account and quota.accounts and account.casefold() not in quota.accounts:
        yours = f"only {', '.join(quota.accounts)}.{did_you_mean(account, quota.accounts)}"
        yield "project", f"you have no account {account!r} on this cluster, {yours}"
    for qos in _names(request.Custom.of(control).value("qos")) if quota.qos else ():
        if qos in quota.qos:
            continue
        yours = f"only {', '.join(quota.qos)}.{did_you_mean(qos, quota.qos)}"
        yield "custom_sbatch_args", f"you have no QOS {qos!r} in this account, {yours}"
    if quota.submit is not None and not quota.submit.room:
        yield "nworkers", f"no job can be submitted now: {quota.submit}; wait until some have ended"
    wanted = request.walltime(control)
    longest = quota.walltime
    if longest is not None and wanted is not None and wanted > longest.most:
        allowed = f"{longest.owner} allows, {request.clock(longest.most)}"
        yield "walltime", f"walltime {request.clock(wanted)} is longer than {allowed}"


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
    found = dict(re.findall(r"([\w/]+)=(\S*)", line))
    folded = ("Account", "ParentAccount", "QoS")
    return {name: value.casefold() if name in folded else value for name, value in found.items()}


def _parents(records: list[dict[str, str]], account: str) -> Iterator[dict[str, str]]:
    """The accounts above a user's: what all of their users have together counts there."""
    by_name = {record["Account"]: record for record in records if not record.get("UserName")}
    seen: set[str] = set()
    while account in by_name and account not in seen:
        seen.add(account)
        yield by_name[account]
        account = by_name[account].get("ParentAccount", "").partition("(")[0]


def _of_accounts(chain: Sequence[Mapping[str, str]]) -> Iterator[Limit]:
    for record in chain:
        owner = f"account {record['Account']}"
        # MaxJobs and the like of an account are only what its users inherit.
        own = ("MaxJobs", "MaxSubmitJobs") if record.get("UserName") else ()
        for name in (*own, "GrpJobs", "GrpSubmitJobs"):
            if found := re.fullmatch(r"(\d+)\((\d+)\)", record.get(name, "")):
                yield Limit(name, owner, int(found[1]), int(found[2]))
        if own and (minutes := record.get("MaxWallPJ", "")).isdigit():
            yield Limit("MaxWall", owner, int(minutes) * 60)


def _qos(user: str, account: str, cluster: str, partition: str) -> tuple[str, tuple[str, ...]]:
    """The QOS of jobs that name none (Slurm's own default where a site has set no other), and all that there are."""
    columns = ("Account", "Partition", "DefaultQOS", "QOS")
    # slurmdbd keeps the accounts of all clusters of a site.
    which = (f"user={user}", *([f"cluster={cluster}"] if cluster else []))
    answer = _ask("sacctmgr", "-nP", "show", "assoc", *which, f"format={','.join(columns)}")
    rows = [dict(zip(columns, line.split("|"), strict=False)) for line in answer.splitlines() if line.count("|") == 3]
    for row in _of_partition([row for row in rows if row["Account"].casefold() == account], partition):
        names = tuple(_names(row["QOS"]))
        return row["DefaultQOS"].casefold() or ("normal" if "normal" in names else ""), names
    return "", ()


def _of_qos(job: str, partition: str, state: str) -> list[list[Limit]]:
    """The limits of the partition's QOS, and of a job's, in the order in which they hold."""
    shown = _fields(_ask("scontrol", "-o", "show", "partition", partition)) if partition else {}
    names = [name for name in (shown.get("QoS", ""), job) if name not in ("", "n/a")]
    found = [_of_one_qos(name, state) for name in dict.fromkeys(names)]
    over = any(flagged for flagged, _ in found[1:])  # OverPartQOS
    return [limits for _, limits in (reversed(found) if over else found)]


def _of_one_qos(qos: str, state: str) -> tuple[bool, list[Limit]]:
    """Whether a QOS holds before that of a partition, and its limits."""
    names = ("MaxJobsPU", "MaxSubmitJobsPU", "GrpJobs", "GrpSubmitJobs")
    answer = _ask("sacctmgr", "-nP", "show", "qos", qos, f"format=Flags,MaxWall,{','.join(names)}")
    flags, wall, *cells = (answer.splitlines() or ["|"])[0].split("|")
    used = next((line for line in state.splitlines() if line.casefold().startswith(f"qos={qos}(")), "")
    mine = re.search(rf" {os.getuid()}={{(.*?)}}", used.partition("User Limits=")[2])
    found = []
    for name, cell in zip(names, cells, strict=False):
        there = re.search(rf"\b{name}=\w+\((\d+)\)", (mine[1] if mine else "") if "PU" in name else used)
        if cell.isdigit():
            found.append(Limit(name, f"QOS {qos}", int(cell), int(there[1]) if there else 0))
    if (longest := seconds(wall)) is not None:
        found.append(Limit("MaxWall", f"QOS {qos}", longest))
    return "OverPartQOS" in flags, found
