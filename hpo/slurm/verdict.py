"""Whether Slurm says that a worker's job still runs.

A job is over when an answer of squeue that was *begun after the worker was first known* does not show it, shows it as
ended, or shows it with a higher count of restarts. An answer from a cache would kill the living. No answer, an answer
of another cluster, and a job that was queued again and is still COMPLETING, since its old processes may be saving, say
nothing.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hpo.errors import SchedulerError
from hpo.slurm import commands
from hpo.slurm.board import Board
from hpo.slurm.place import Incarnation
from hpo.slurm.queue import RUNNING, STOPPED, Task

#: Seconds between two tries to learn why SIGTERM came: a site's KillWait may be as short as five.
ASK_AGAIN_EVERY = 2.0


class Verdicts:
    """One reader's view of the jobs of workers. here: the reader's own job, or None."""

    def __init__(self, board: Board, here: Incarnation | None) -> None:
        self._board = board
        self._here = here
        self._known: dict[str, int] = {}

    def meet(self, workers: Iterable[str]) -> None:
        """Take note of workers whose records have been read: only a question that is asked later can tell of them."""
        new = [worker for worker in workers if worker not in self._known]
        if new:
            self._known.update(dict.fromkeys(new, self._board.last_question()))

    def lives(self, worker: str, job: Incarnation) -> bool | None:
        """True: its job runs. False: it is over, for ever. None: not known yet, ask again."""
        if self.superseded(job):
            return False
        self.meet([worker])
        known = self._known[worker]
        answer = self._board.answer()
        if answer is None or answer.cluster != job.cluster:
            return None
        task = answer.tasks.get(job.task)
        if task is not None and task.restarts == job.restart and task.state in RUNNING | STOPPED:
            return True  # an old answer is good enough to go on waiting
        if answer.number <= known or (task is not None and not _is_over(task, job)):
            return None
        return False

    def superseded(self, job: Incarnation) -> bool:
        """Whether this process runs in a later start of the very same job."""
        here = self._here
        return here is not None and (here.cluster, here.task) == (job.cluster, job.task) and here.restart > job.restart

    def reason(self, job: Incarnation) -> str:
        """Why the job of a dead worker is over, as far as Slurm still tells: a state such as "NODE_FAIL", or ""."""
        answer = self._board.answer()
        task = answer.tasks.get(job.task) if answer is not None else None
        if answer is not None and task is not None and task.restarts > job.restart:
            return "NODE_FAIL" if job.node in answer.lost else "REQUEUED"
        if self.superseded(job):
            return "REQUEUED"
        return task.state if task is not None and task.over else ""

    def reason_is_final(self, job: Incarnation) -> bool:
        """Whether `reason` will not be told better: not before squeue shows the later start in which we are."""
        answer = self._board.newest()
        task = answer.tasks.get(job.task) if answer is not None else None
        return not self.superseded(job) or (task is not None and task.restarts > job.restart)


def _is_over(task: Task, job: Incarnation) -> bool:
    """Whether a start of a task has ended: of one that was queued again, not before its processes have."""
    return task.over or (task.restarts > job.restart and task.state != "COMPLETING")


@dataclass(frozen=True, slots=True)
class Termination:
    """Why a job got SIGTERM: Slurm's word, "" when it was cancelled. again: whether Slurm will start it anew."""

    reason: str = ""
    again: bool = False


def termination(here: Incarnation, patience: float = 0.0) -> Termination:
    """Why this process's own job got SIGTERM, as far as Slurm tells.

    patience: seconds until SIGKILL. As long a slurmctld that is too busy to answer is asked again: who preempts many
    jobs at once keeps it busy, and one that is taken for cancelled is not queued again.
    """
    shown = _shown(here, time.monotonic() + patience)
    told = dict(re.findall(r"\b((?:Preempt|Start|Suspend)Time|Reason|Restarts)=(\S+)", shown))
    again = told.get("Restarts", str(here.restart)) != str(here.restart)
    if _preempted(told, again):
        return Termination("PREEMPTED", again)
    if told.get("Reason") == "TimeLimit":
        return Termination("TIMEOUT", again)
    return Termination("REQUEUED" if again else "", again)


def _shown(here: Incarnation, until: float) -> str:
    """What scontrol shows of a job; "" when it has not answered by `until`, on the monotonic clock."""
    while True:
        try:
            return commands.ask("scontrol", "show", "job", here.task)
        except SchedulerError:
            if time.monotonic() + ASK_AGAIN_EVERY > until:
                return ""
        time.sleep(ASK_AGAIN_EVERY)


def _preempted(told: Mapping[str, str], again: bool) -> bool:
    """Whether a preemption is what ends this start of a job.

    Not one that only suspended it (PreemptMode=SUSPEND), after which it ran on, nor one of an earlier start. told: what
    scontrol shows; its times are all of one clock, and in the order of their letters.
    """
    preempted, suspended, started = (_time(told, name) for name in ("Preempt", "Suspend", "Start"))
    if not preempted or suspended >= preempted:
        return False
    return again or started <= preempted  # of a job that is queued again the start is the next one


def _time(told: Mapping[str, str], name: str) -> str:
    """A time as Slurm prints it; empty for none."""
    text = told.get(f"{name}Time", "")
    return text if text[:1].isdigit() else ""


class TimeLeft:
    """The time that this process's own job has left, as squeue's answers tell it."""

    def __init__(self, board: Board, here: Incarnation) -> None:
        self._board = board
        self._here = here
        self._used = board.last_question()

    def __call__(self) -> float | None:
        """Seconds until the time limit; None when no answer came since the last call that had one."""
        answer = self._board.answer()
        if answer is None or answer.number <= self._used or answer.cluster != self._here.cluster:
            return None
        self._used = answer.number
        task = answer.tasks.get(self._here.task)
        return None if task is None or task.left is None else max(0.0, task.left - answer.age)
