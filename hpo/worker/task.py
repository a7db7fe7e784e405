"""One job of a scheduler: its workers, and what becomes of the job when its time is over and trials are left.

The batch script executes ``python -m hpo.worker.task FOLDER FIRST``. FIRST is the trial of the array's task 0 where
each trial has a task of its own (``array = trials``), and otherwise without meaning.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from hpo import liveness, processes
from hpo.errors import HpoError, SchedulerError, StorageError
from hpo.experiment import Experiment
from hpo.slurm import commands, jobs, request, verdict
from hpo.slurm.board import Board
from hpo.slurm.place import Incarnation
from hpo.slurm.request import Array
from hpo.slurm.verdict import TimeLeft
from hpo.trial import LOST
from hpo.worker.bounds import Ended
from hpo.worker.deadline import Deadline
from hpo.worker.leftovers import trials_wait
from hpo.worker.loop import Worker

#: Seconds between two tries to have a job queued again, while Slurm does not answer or is too busy.
TRY_EVERY = 30.0
#: What scontrol says where a job cannot be queued again at all. Any other failure says nothing, or that it was done.
_NEVER = ("disabled", "denied", "not permitted", "not supported", "batch job", "invalid job id")
#: Of sbatch's failures those after which nobody knows whether the job was taken.
_UNCERTAIN = re.compile("^sbatch.*(timed out|did not answer|did not print)|may still run", re.S)
#: The signals by which a scheduler, or a user, ends a job.
_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
#: How a worker of a crew tells by its exit status why it ended, where that decides what becomes of the job.
STATUS = {Ended.WALLTIME: 75, Ended.TERMINATED: 76}


@dataclass(frozen=True, slots=True)
class Task:
    """The job in which this process runs.

    only: the one trial that is its, or None. heard: signals to end that came before there was a worker to heed them.
    """

    experiment: Experiment
    here: Incarnation
    only: int | None
    heard: Sequence[int] = ()

    def work(self) -> Ended:
        """Take trials; why no more. Raises `HpoError`."""
        if self.heard:
            return Ended.TERMINATED
        told = TimeLeft(Board(self.experiment.scheduler), self.here)
        deadline = Deadline.of(told=told)
        worker = Worker(self.experiment, "slurm", deadline=deadline, only=self.only)

        def warn(number: int, frame: FrameType | None) -> None:
            del number, frame
            deadline.warned()

        worker.heed_signals()
        signal.signal(signal.SIGUSR1, warn)
        if self.heard:  # while the worker was made, which takes its time
            worker.terminate()
        return worker.run()

    def crew(self, count: int) -> Ended:
        """Several workers that share this job's GPU, as processes of their own; as `work`."""
        command = [sys.executable, "-P", "-m", "hpo.worker.task", str(self.experiment.folder), "0", str(os.getpid())]
        workers = [subprocess.Popen(command) for _ in range(count)]

        def pass_on(number: int, frame: FrameType | None) -> None:
            del frame
            processes.kill([worker.pid for worker in workers if worker.poll() is None], signal.Signals(number))

        for number in (*_ENDING, signal.SIGUSR1):
            signal.signal(number, pass_on)
        if self.heard:
            pass_on(signal.SIGTERM, None)
        ends = [_status(worker.wait()) for worker in workers]
        failed = [status for status in ends if status not in (0, *STATUS.values())]
        if failed and len(failed) == len(ends):
            raise SchedulerError(f"all {count} workers of this job ended with {failed}")
        return next((ended for ended, status in STATUS.items() if status in ends), Ended.NOTHING_LEFT)

    def conclude(self, ended: Ended) -> None:
        """See to it that a job goes on which ended before its trials did: at its walltime, or since it was preempted.

        One that was preempted may be Slurm's to queue again, or ours. One that somebody cancelled is left alone.
        """
        if ended is Ended.WALLTIME:
            self._go_on("too little of its walltime is left for another trial")
        elif ended is Ended.TERMINATED and not self._stopped():
            told = verdict.termination(self.here, patience=float(os.environ.get("HPO_KILL_WAIT") or 0))
            if told.reason:
                with contextlib.suppress(OSError):
                    liveness.leave_reason(self.experiment.workers, self.here, told.reason)
            if told.reason and not told.again:
                self._go_on(LOST[told.reason])

    def _stopped(self) -> bool:
        """Whether somebody asked the search to stop, as far as the folder can be read now."""
        with contextlib.suppress(OSError):
            return self.experiment.stop() is not None
        return False

    def _go_on(self, why: str) -> None:
        """Have Slurm run this job again, if trials wait for it: requeued, or where that is refused, as a new job.

        The last thing that is done, since a requeued job gets SIGTERM at once. While Slurm does not answer it is tried
        again, until this process is killed, or sees that what it asked for was done.
        """
        for number in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN)
        told = False
        while True:
            try:
                how = self._queued_again() if self._trials_wait() and not self._came_back() else ""
                break
            except (SchedulerError, OSError) as error:
                if _UNCERTAIN.search(str(error)):
                    raise  # the job may be there: better one too few than one too many
                if not told:
                    _log(f"{why}, and trials are left; asked again until Slurm queues the job: {error}")
                told = True
            time.sleep(TRY_EVERY)
        if how:
            _log(f"{why}, and trials are left: {how}")

    def _queued_again(self) -> str:
        """Have this job queued again, or submit one in its place; how it goes on.

        Raises `SchedulerError` when Slurm cannot do it now, or has not said whether it did.
        """
        try:
            commands.ask("scontrol", "requeue", self.here.task)
        except commands.Refusal as refused:
            if not any(words in str(refused).casefold() for words in _NEVER):
                raise
            job = jobs.submit(self.experiment.folder, self._array())
            return f"job {job.id} continues ({refused})"
        return f"{self.here.task} is queued again"

    def _trials_wait(self) -> bool:
        """Whether there are trials in nobody's hands."""
        return self.experiment.stop() is None and trials_wait(self.experiment, self.only)

    def _came_back(self) -> bool:
        """Whether a later start of this job is there already: what we asked for would end it."""
        jobs_seen = (identity.job for identity in liveness.identities(self.experiment.workers).values())
        mine = (self.here.cluster, self.here.task)
        return any(job and (job.cluster, job.task) == mine and job.restart > self.here.restart for job in jobs_seen)

    def _array(self) -> Array:
        index = int(self.here.task.partition("_")[2] or 0)
        return Array((index,), 0 if self.only is None else self.only - index)


def _log(text: str) -> None:
    """Tell it to whoever reads the job's output, which is on the disk that may stumble."""
    with contextlib.suppress(OSError):
        print(text, flush=True)


def _status(status: int) -> int:
    """How a worker of a crew ended: one that a signal met before it could heed it had nothing in hand."""
    return STATUS[Ended.TERMINATED] if -status in _ENDING else status


def _listening() -> list[int]:
    """From now on signals to end are noted here, and do not kill: what they mean is decided when a worker is there."""
    heard: list[int] = []
    for number in _ENDING:
        signal.signal(number, lambda number, _: heard.append(number))
    return heard


def main(arguments: Sequence[str]) -> int:
    """Be a job, or with a third argument (the pid to die with) one worker of a crew."""
    heard = _listening()
    folder, first, *parent = arguments
    processes.adopt_orphans()
    if parent:
        processes.die_with_parent(int(parent[0]))
    here = Incarnation.here()
    if here is None:
        print("this is the inside of a Slurm job: 'hpo submit-job' starts it", file=sys.stderr)
        return 2
    try:
        experiment = Experiment(Path(folder))
        trials = experiment.keywords["array"] == "trials"
        only = int(first) + int(here.task.partition("_")[2] or 0) if trials else None
        task = Task(experiment, here, only, heard)
        count = request.workers_per_task(experiment.keywords)
        ended = task.work() if parent or count == 1 else task.crew(count)
        if parent:
            return STATUS.get(ended, 0)
        task.conclude(ended)
    except HpoError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"cannot read {folder}: {error.strerror}", file=sys.stderr)
        return StorageError.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
