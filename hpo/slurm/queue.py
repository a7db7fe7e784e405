"""The jobs of this user as squeue shows them, those that ended a few minutes ago included."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate

from hpo.errors import SchedulerError
from hpo.slurm import commands

#: Columns of fixed width, which Slurm has known since 15.08; the last may contain blanks.
_COLUMNS = {
    "ArrayJobID": 16,
    "ArrayTaskID": 16,
    "State": 20,
    "RestartCnt": 10,
    "TimeLeft": 20,
    "exit_code": 14,
    "NodeList": 80,
    "Reason": 120,
}
RUNNING = frozenset({"RUNNING", "COMPLETING", "CONFIGURING", "SIGNALING", "STAGE_OUT", "RESIZING"})
STOPPED = frozenset({"SUSPENDED", "STOPPED"})
WAITING = frozenset({"PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"})
#: How a job ends. A state that is not named here, as of a later Slurm, is none: squeue forgets what has ended anyway.
OVER = frozenset(
    {"BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "TIMEOUT"}
    | {"REVOKED"}  # another cluster of a federation has begun it
)


@dataclass(frozen=True, slots=True)
class Task:
    """One task of an array, or one job, as Slurm sees it.

    name: "17_3", or "17". left: seconds until its time limit, or None. exit_code: as Slurm prints it (a raw wait
    status, or "1:0").
    """

    name: str
    state: str
    restarts: int
    left: int | None
    node: str
    reason: str
    exit_code: str = ""

    @property
    def job(self) -> str:
        """The id that sbatch printed."""
        return self.name.partition("_")[0]

    @property
    def over(self) -> bool:
        """Whether it will not run any more."""
        return self.state in OVER


@dataclass(frozen=True, slots=True)
class Queue:
    """All jobs of this user on one cluster, by their names."""

    cluster: str
    tasks: Mapping[str, Task]


def read() -> Queue:
    """Ask squeue, once. Raises `SchedulerError` when the answer is not whole."""
    cluster = cluster_name()
    form = ",".join(f"{name}:{width}" for name, width in _COLUMNS.items())
    # All partitions, hidden ones too; each task of an array by itself; by the user, since an id that Slurm has
    # forgotten is an error for squeue.
    answer = commands.ask("squeue", "-h", "-a", "-r", "-t", "all", "-u", str(os.getuid()), "-O", form)
    return Queue(cluster, {task.name: task for task in _tasks(answer)})


def lost_nodes() -> list[str]:
    """The nodes that Slurm holds for lost, in hidden partitions too: the jobs that they had do not say why they wait.

    Raises `SchedulerError`.
    """
    rows = (line.split() for line in commands.ask("sinfo", "-h", "-a", "-N", "-o", "%N %T").splitlines())
    lost = {row[0] for row in rows if len(row) == 2 and (row[1].startswith(("down", "fail")) or "*" in row[1])}
    return sorted(lost)


@functools.cache
def cluster_name() -> str:
    """The cluster that this machine belongs to; a job is told by its environment. Raises `SchedulerError`."""
    told = os.environ.get("SLURM_CLUSTER_NAME")
    if told:
        return told
    name = setting("ClusterName")
    if name is None:
        raise SchedulerError("scontrol show config does not tell the name of this cluster")
    return name


def setting(name: str) -> str | None:
    """A setting of this cluster, None when it has none of that name. Raises `SchedulerError`."""
    found = re.search(rf"^{name}[ ]*=[ ]*(\S+)", _config(), re.M)
    return found[1] if found else None


@functools.cache
def _config() -> str:
    return commands.ask("scontrol", "show", "config")


def _tasks(answer: str) -> Iterator[Task]:
    ends = [*accumulate(_COLUMNS.values())]
    starts = [0, *ends[:-1]]
    for line in answer.splitlines():
        if line.strip():
            cells = (line[start:end].strip() for start, end in zip(starts, ends, strict=True))
            yield from _tasks_of(dict(zip(_COLUMNS, cells, strict=True)), line)


def _tasks_of(cells: dict[str, str], line: str) -> Iterator[Task]:
    """The task of one line; or several that wait, where -r is not heeded: ``[3-9%2]``."""
    job, indexes = cells["ArrayJobID"], _indexes(cells["ArrayTaskID"])
    known = job.isdigit() and cells["State"].replace("_", "").isalpha() and cells["RestartCnt"].isdigit()
    if not known or indexes is None:
        raise SchedulerError(f"squeue answered in a form that is not understood: {line.strip()[:100]}")
    for name in [f"{job}_{index}" for index in indexes] or [job]:
        yield _task(name, cells)


def _indexes(text: str) -> list[int] | None:
    """Read ``7``, ``[3-5,9%2]`` or ``N/A``; None when some are left out (``[1,3,...]``)."""
    if text == "N/A":
        return []
    found = re.fullmatch(r"\[?(\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*)(?:%\d+)?\]?", text)
    if found is None or len(text) >= _COLUMNS["ArrayTaskID"]:
        return None
    ends = (part.partition("-") for part in found[1].split(","))
    return [index for low, _, high in ends for index in range(int(low), int(high or low) + 1)]


def _task(name: str, cells: dict[str, str]) -> Task:
    return Task(
        name=name,
        state=cells["State"],
        restarts=int(cells["RestartCnt"]),
        left=seconds(cells["TimeLeft"]),
        node=cells["NodeList"],
        reason="" if cells["Reason"] == "None" else cells["Reason"],
        exit_code=cells["exit_code"],
    )


def seconds(text: str) -> int | None:
    """Read Slurm's ``[D-]HH:MM:SS``, ``MM:SS`` or ``D-HH:MM``; None for anything else (UNLIMITED, INVALID)."""
    days, _, clock = text.rpartition("-")
    fields = clock.split(":")
    if not all(field.isdigit() for field in fields) or not (days.isdigit() or not days) or len(fields) > 3:
        return None
    if days:
        fields += ["0"] * (3 - len(fields))
    numbers = [int(field) for field in fields]
    if not days and len(numbers) == 1:
        numbers.append(0)  # minutes alone
    total = 0
    for number in numbers:
        total = total * 60 + number
    return total + (int(days) * 86400 if days else 0)


def index_list(indexes: list[int]) -> str:
    """Write task numbers as sbatch reads them: ``0-3,7``."""
    parts: list[list[int]] = []
    for index in sorted(indexes):
        if parts and index == parts[-1][1] + 1:
            parts[-1][1] = index
        else:
            parts.append([index, index])
    return ",".join(f"{low}" if low == high else f"{low}-{high}" for low, high in parts)
