"""What this cluster takes: its partitions, GPUs and limits, and what an input file asks beyond them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hpo.errors import did_you_mean
from hpo.slurm import commands, quotas, request
from hpo.slurm.queue import seconds, setting
from hpo.slurm.quotas import Quota


@dataclass(slots=True)
class Partition:
    """One partition. seconds: its longest walltime, or None. gpus (by type), cpus, memory (MB): the most on a node.

    state: "up", or why it takes or starts no jobs ("down", "drain", "inact").
    """

    name: str
    default: bool = False
    seconds: int | None = None
    state: str = "up"
    gpus: dict[str, int] = field(default_factory=dict)
    cpus: int = 0
    memory: int = 0

    @property
    def limit(self) -> str:
        """The longest walltime, for people."""
        return "any walltime" if self.seconds is None else request.clock(self.seconds)


@dataclass(frozen=True, slots=True)
class Cluster:
    """What sinfo and scontrol say. largest_array: tasks of one array. most_jobs: tasks that it knows at a time."""

    name: str
    partitions: Mapping[str, Partition]
    largest_array: int = 1001
    most_jobs: int = 10_000
    kill_wait: int = 30
    #: Which limits of accounts hold (AccountingStorageEnforce).
    enforced: str = ""
    #: Whether plugins of the site's choice may make another request of what is asked for.
    rewrites: bool = False

    def chosen(self, control: Mapping[str, Any]) -> list[Partition]:
        """The partitions that an input file asks for, as far as there are such; else the default one."""
        if wanted := _wanted(control):
            return [self.partitions[name] for name in wanted if name in self.partitions]
        return [each for each in self.partitions.values() if each.default]


def read() -> Cluster:
    """Ask Slurm. Raises `SchedulerError` when it does not answer."""
    return Cluster(
        name=setting("ClusterName") or "",
        partitions=_partitions(commands.ask("sinfo", "-h", "-a", "-e", "-o", "%P|%l|%c|%m|%G|%a")),
        largest_array=_largest_array(),
        most_jobs=int(setting("MaxJobCount") or 10_000),
        kill_wait=int(setting("KillWait") or 30),
        enforced=setting("AccountingStorageEnforce") or "",
        rewrites=any(setting(name) not in (None, "", "(null)") for name in ("JobSubmitPlugins", "CliFilterPlugins")),
    )


def _largest_array() -> int:
    """Tasks of one array: indexes stay below MaxArraySize, and a site may set fewer tasks than that."""
    fewer = re.search(r"max_array_tasks=(\d+)", setting("SchedulerParameters") or "")
    most = int(setting("MaxArraySize") or 1001)
    return max(1, min(most, int(fewer[1])) if fewer else most)


def _partitions(answer: str) -> dict[str, Partition]:
    found: dict[str, Partition] = {}
    for line in answer.splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) == 6:
            name = cells[0].rstrip("*")
            partition = found.setdefault(name, Partition(name, cells[0].endswith("*"), seconds(cells[1]), cells[5]))
            partition.cpus = max(partition.cpus, _number(cells[2]))
            partition.memory = max(partition.memory, _number(cells[3]))
            for kind, count in _gpus(cells[4]):
                partition.gpus[kind] = max(count, partition.gpus.get(kind, 0))
    return found


def _number(text: str) -> int:
    found = re.match(r"\d+", text)
    return int(found[0]) if found else 0


def _gpus(gres: str) -> Iterator[tuple[str, int]]:
    """Read ``gpu:k80:2(S:0-1),lscratch:800`` as k80, 2; a GPU without a type has the type ""."""
    for part in re.sub(r"\([^)]*\)", "", gres).split(","):
        words = part.split(":")
        if words[0] == "gpu":
            yield (words[1] if len(words) > 2 else ""), _number(words[-1]) or 1


def quota(control: Mapping[str, Any], cluster: Cluster) -> Quota:
    """Ask what this user may submit there."""
    names = [partition.name for partition in cluster.chosen(control)]
    return quotas.read(control, cluster.enforced, cluster.name, names[0] if len(names) == 1 else "")


def excesses(control: Mapping[str, Any], cluster: Cluster) -> Iterator[tuple[str, str]]:
    """Yield what the cluster will not take: the keyword that says it, and what it would take."""
    for name in _wanted(control):
        if name not in cluster.partitions:
            near = did_you_mean(name, cluster.partitions)
            yield "queue", f"this cluster has no partition {name!r}, only {', '.join(cluster.partitions)}.{near}"
    # Of several partitions Slurm takes one that can run the job.
    found = [[*_beyond(control, each, list(cluster.partitions.values()))] for each in cluster.chosen(control)]
    if found and all(found):
        yield from found[0]


def crowding(control: Mapping[str, Any], tasks: int, cluster: Cluster) -> Iterator[tuple[str, str]]:
    """Yield what the cluster cannot keep, which sbatch finds only when it submits.

    tasks: how many tasks the arrays have together.
    """
    if tasks > cluster.most_jobs:
        message = f"{tasks} tasks are more than this cluster keeps at a time (MaxJobCount = {cluster.most_jobs})"
        hint = f"array = workers takes all trials with {_fewer(control, cluster.most_jobs)}"
        trials = control["array"] == "trials"
        yield ("array", f"{message}: {hint}") if trials else ("nworkers", f"{message}: lower nworkers")


def remarks(control: Mapping[str, Any], tasks: int, cluster: Cluster) -> Iterator[tuple[str, str]]:
    """Yield what will work, but could be had for less."""
    if control["array"] == "trials" and tasks > cluster.largest_array:
        arrays = -(-tasks // cluster.largest_array)
        many = f"{tasks} trials are as many jobs, in {arrays} arrays one after the other"
        yield "array", f"{many}: array = workers runs them in {_fewer(control, tasks)}"
    threads, cpus = control["nthreads"], control["cpus_per_task"]
    if cpus and threads > cpus:
        yield (
            "cpus_per_task",
            f"the {threads} threads of a trial (nthreads) share {cpus} CPUs: without cpus_per_task each has one",
        )
    for partition in cluster.chosen(control):
        if partition.state == "down":
            yield "queue", f"partition {partition.name} is down: its jobs wait until it is up again"


def _fewer(control: Mapping[str, Any], tasks: int) -> str:
    """How many jobs there would be of workers, where so many tasks are complained of."""
    workers = int(control["nworkers"])
    return str(workers) if workers < tasks else "fewer, if nworkers is smaller"


def _wanted(control: Mapping[str, Any]) -> list[str]:
    names = request.Custom.of(control).value("partition") or control["queue"] or ""
    return [name for name in names.split(",") if name]


def _beyond(control: Mapping[str, Any], partition: Partition, others: Sequence[Partition]) -> Iterator[tuple[str, str]]:
    where = f"partition {partition.name}"
    if partition.state not in ("up", "down"):
        open_ = [p.name for p in others if p.state == "up"]
        yield "queue", f"{where} takes no jobs now ({partition.state}); queue = {' or '.join(open_) or '…'} does"
    wanted = request.walltime(control)
    if wanted is not None and partition.seconds is not None and wanted > partition.seconds:
        longer = [p for p in others if p.state == "up" and (p.seconds is None or p.seconds >= wanted)]
        hint = f"; queue = {longer[0].name} allows {longer[0].limit}" if longer else ""
        message = f"walltime {request.clock(wanted)} is longer than {where} allows, {partition.limit}{hint}"
        yield "walltime", message
    kind = request.gpu_type(control)
    if kind is not None:
        yield from _beyond_gpus(control, kind, partition, others)
    cpus = request.cpus(control)
    if partition.cpus and cpus > partition.cpus:
        keyword = _keyword(control, "cpus-per-task", "cpus_per_task" if control["cpus_per_task"] else "nthreads")
        yield keyword, f"{cpus} CPUs for each worker are more than a node of {where} has, {partition.cpus}"
    memory = request.megabytes(control)
    if memory and partition.memory and memory > partition.memory:
        keyword = _keyword(control, "mem", "mem_per_cpu" if control["mem_per_cpu"] else "mem_per_node")
        yield keyword, f"{memory / 1000:g} GB are more than a node of {where} has, {partition.memory / 1000:g} GB"


def _keyword(control: Mapping[str, Any], option: str, keyword: str) -> str:
    """Where something was asked for: custom_sbatch_args, or the keyword."""
    return "custom_sbatch_args" if request.Custom.of(control).value(option) else keyword


def _beyond_gpus(
    control: Mapping[str, Any], kind: str, partition: Partition, others: Sequence[Partition]
) -> Iterator[tuple[str, str]]:
    where = f"partition {partition.name}"
    count = request.gpus(control)
    if kind not in partition.gpus and (kind or not partition.gpus):
        elsewhere = [p.name for p in others if kind in p.gpus]
        has = f"it has {', '.join(sorted(filter(None, partition.gpus))) or 'none'}"
        hint = f"; queue = {elsewhere[0]} has it" if elsewhere else f".{did_you_mean(kind, partition.gpus)}"
        yield (
            _keyword(control, "gres", "worker_type"),
            f"no node of {where} has a GPU {kind!r}; {has}, and 'cpu' asks for none{hint}",
        )
    elif count > max(partition.gpus[kind] if kind else max(partition.gpus.values()), 1):
        most = partition.gpus[kind] if kind else max(partition.gpus.values())
        yield (
            _keyword(control, "gres", "gpus_per_trial"),
            f"{count} GPUs for each trial are more than a node of {where} has, {most}",
        )
