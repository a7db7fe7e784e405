"""Workers as the tasks of Slurm's job arrays: submitted, and left to themselves."""

from __future__ import annotations

import contextlib
import fcntl
import pwd
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from hpo import liveness
from hpo.disk import is_mine
from hpo.errors import SchedulerError, UsageError, writing
from hpo.executors.base import MakeWorker
from hpo.experiment import Experiment
from hpo.liveness import Vitality
from hpo.slurm import jobs, limits, request, script
from hpo.slurm.board import Board
from hpo.slurm.limits import Cluster
from hpo.slurm.refusals import rehearse
from hpo.slurm.request import Array

#: Seconds between two looks of a command that waits (squeue is asked at most once a minute all the same).
_LOOK_EVERY = 2.0


class SlurmExecutor:
    """Submits arrays of `hpo.worker.task`; nothing runs on this machine."""

    in_process: ClassVar = False
    queued: ClassVar = True

    def __init__(self, make_worker: MakeWorker, *, detach: bool = False) -> None:
        del make_worker, detach  # the jobs make their own, and need nobody to stay
        self._stop_waiting = False

    def start(self, experiment: Experiment, count: int) -> None:
        """Submit tasks for `count` workers beside those that are there, as `renew` has learnt.

        Raises `SchedulerError` when sbatch refuses, `UsageError` in another user's folder.
        """
        refuse_strangers(experiment)
        self._experiment = experiment
        cluster = limits.read()
        with _alone(experiment.folder):
            self._submit(experiment, count, cluster)

    def _submit(self, experiment: Experiment, count: int, cluster: Cluster) -> None:
        arrays = _allowed(experiment, plan(experiment, count, cluster.largest_array), cluster)
        if not arrays:
            return
        _write(experiment.folder, script.render(experiment.keywords, experiment.folder, arrays[0], cluster.kill_wait))
        before = ""
        for number, array in enumerate(arrays, start=1):
            try:
                # Each array has its own limit of tasks at a time: one after the other keeps to nworkers.
                waits = request.dependency(experiment.keywords, before) if before and array.at_once else ""
                before = jobs.submit(experiment.folder, array, waits).id
            except SchedulerError as error:
                part = f" (array {number} of {len(arrays)})" if len(arrays) > 1 else ""
                remedy = f"the experiment is kept: 'hpo resume {experiment.name}' submits what is left"
                raise SchedulerError(f"{error}{part}\n{remedy}") from None

    def alive(self) -> bool:
        """Whether a job of the experiment waits or runs, and trials are left."""
        time.sleep(_LOOK_EVERY)
        experiment = self._experiment
        left = len(experiment.committed()) < experiment.budget
        return left and not self._stop_waiting and bool(active(experiment))

    def cancel(self, *, now: bool = False) -> None:
        """Stop waiting; the jobs go on (`hpo cancel` ends them)."""
        del now
        self._stop_waiting = True


def plan(experiment: Experiment, count: int, largest: int) -> list[Array]:
    """The arrays that are wanting for `count` workers, or for the trials that are left."""
    keywords = experiment.keywords
    there = _staying(experiment)
    if keywords["array"] == "trials":
        taken = {job.first + index for job in jobs.recorded(experiment.folder)
                 for index in job.indexes if f"{job.id}_{index}" in there}  # fmt: skip
        left = sorted(set(range(experiment.budget)) - taken - experiment.committed())
        return request.trial_arrays(left, largest, int(keywords["nworkers"]))
    tasks = -(-count // request.workers_per_task(keywords))
    return request.worker_arrays(max(0, tasks - len(there)), largest)


def renew(experiment: Experiment) -> None:
    """Have squeue asked which of the experiment's jobs are there: an older answer would show jobs just cancelled.

    Raises `SchedulerError` when it does not answer.
    """
    if jobs.all_over(experiment.folder):
        return
    try:
        Board(experiment.scheduler).renew()
    except SchedulerError as error:
        raise SchedulerError(
            f"Slurm does not tell which jobs of {experiment.name} are there: {error}\n"
            f"try 'hpo resume {experiment.name}' again later"
        ) from None


def _staying(experiment: Experiment) -> set[str]:
    """The tasks that may still take trials, by what squeue said last.

    Of tasks that are COMPLETING, only those come back that were queued again; the others save what they can.
    """
    board = Board(experiment.scheduler)
    begun = liveness.last_starts(experiment.workers)
    ended = liveness.ended_tasks(experiment.workers, experiment.ledger().ended)
    tasks = (seen for seen in jobs.look(experiment.folder, board, ended, learn=False) if seen.active)
    return {task.name for task in tasks if task.state != "COMPLETING" or task.restarts > begun.get(task.name, 0)}


def refuse_strangers(experiment: Experiment) -> None:
    """Raises `UsageError` for who is not the folder's owner: workers ask squeue for the jobs of that user alone."""
    if not is_mine(experiment.folder):
        number = experiment.folder.stat().st_uid
        owner = str(number)
        with contextlib.suppress(KeyError):
            owner = pwd.getpwuid(number).pw_name
        raise UsageError(
            f"{experiment.name} belongs to {owner}, and only {owner} can run it as jobs: "
            "submit the input file as an experiment of your own"
        )


def _allowed(experiment: Experiment, arrays: list[Array], cluster: Cluster) -> list[Array]:
    """Those tasks that the limits of this user's account let in, or all, if sbatch would take them all the same.

    Raises `SchedulerError` when that is none.
    """
    limit = limits.quota(experiment.keywords, cluster).submit if arrays else None
    if limit is None or limit.room >= sum(len(array.indexes) for array in arrays):
        return arrays
    first = arrays[0]
    text = script.render(experiment.keywords, experiment.folder, first, cluster.kill_wait)
    if len(first.indexes) > limit.room and rehearse(text, first) == ("", False):
        return arrays  # a site's own plugin has other limits hold
    remedy = f"'hpo resume {experiment.name}' submits what is left when some have ended"
    if not limit.room:
        raise SchedulerError(f"no job can be submitted now: {limit}; {remedy}")
    if jobs.recorded(experiment.folder):  # else the checks before the first submission have said it
        tasks = sum(len(array.indexes) for array in arrays)
        print(f"{limit.room} of {tasks} tasks are submitted now: {limit}; {remedy}", file=sys.stderr)
    return request.fitting(arrays, limit.room)


def active(experiment: Experiment) -> list[jobs.Seen]:
    """The tasks of the experiment that wait or run."""
    ended = liveness.ended_tasks(experiment.workers, experiment.ledger().ended)
    return [seen for seen in jobs.look(experiment.folder, Board(experiment.scheduler), ended) if seen.active]


def ids(experiment: Experiment) -> Sequence[str]:
    """The numbers of all jobs of the experiment, oldest first."""
    return [job.id for job in jobs.recorded(experiment.folder)]


def cancel(experiment: Experiment, *, waiting_only: bool) -> None:
    """Have Slurm end the experiment's jobs: those that have not begun, or all."""
    jobs.cancel(experiment.folder, [*ids(experiment), *_by_hand(experiment)], waiting_only=waiting_only)


def _by_hand(experiment: Experiment) -> Sequence[str]:
    """The numbers of jobs that somebody submitted by hand (sbatch submit.sbatch), as far as their workers are there."""
    recorded = jobs.recorded(experiment.folder)
    clusters, ended = {job.cluster for job in recorded}, experiment.ledger().ended
    found: set[str] = set()
    judge = liveness.Liveness(experiment.workers, kill=False)
    for name, each in liveness.identities(experiment.workers).items():
        number = each.job_task.partition("_")[0]
        new = each.is_task and number not in found and number not in {job.id for job in recorded}
        new = new and liveness.of_owner(experiment.workers, name)  # other users' jobs are theirs to end
        if new and each.cluster in clusters and name not in ended and judge.of(name) is not Vitality.DEAD:
            found.add(number)
    return sorted(found)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One at a time: two who resume at once would both find workers wanting. Where nothing can be locked, they do."""
    with writing(folder):
        (folder / "jobs").mkdir(exist_ok=True)
        file = (folder / "jobs" / ".submitting").open("w")
    with file:
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _write(folder: Path, text: str) -> None:
    with writing(folder):
        beside = folder / ".submit.sbatch"
        beside.write_text(text)
        beside.rename(folder / "submit.sbatch")
