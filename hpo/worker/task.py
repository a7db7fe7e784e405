"""One job of a scheduler: its workers, and what becomes of the job when its time is over and trials are left.

The batch script executes ``python -m hpo.worker.task FOLDER FIRST``. FIRST is the trial of the array's task 0 where
each trial has a task of its own (``array = trials``), and otherwise without meaning.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from hpo import liveness, processes
from hpo.errors import HpoError, SchedulerError
from hpo.experiment import Experiment
from hpo.slurm import commands, jobs, request, verdict
from hpo.slurm.board import Board
from hpo.slurm.place import Incarnation
from hpo.slurm.request import Array
from hpo.slurm.verdict import TimeLeft
from hpo.trial import LOST
from hpo.worker.bounds import Ended
from hpo.worker.deadline import Deadline
from hpo.worker.loop import Worker

#: How a worker of a crew tells by its exit status why it ended, where that decides what becomes of the job.
STATUS = {Ended.WALLTIME: 75, Ended.TERMINATED: 76}


@dataclass(frozen=True, slots=True)
class Task:
    """The job in which this process runs. only: the one trial that is its, or None."""

    experiment: Experiment
    here: Incarnation
    only: int | None

    def work(self) -> Ended:
        """Take trials; why no more. Raises `HpoError`."""
        told = TimeLeft(Board(self.experiment.scheduler), self.here)
        deadline = Deadline.of(told=told)
        worker = Worker(self.experiment, "slurm", deadline=deadline, only=self.only)

        def warn(number: int, frame: FrameType | None) -> None:
            del number, frame
            deadline.warned()

        worker.heed_signals()
        signal.signal(signal.SIGUSR1, warn)
        return worker.run()

    def crew(self, count: int) -> Ended:
        """Several workers that share this job's GPU, as processes of their own; as `work`."""
        command = [sys.executable, "-P", "-m", "hpo.worker.task", str(self.experiment.folder), "0", str(os.getpid())]
        workers = [subprocess.Popen(command) for _ in range(count)]

        def pass_on(number: int, frame: FrameType | None) -> None:
            del frame
            processes.kill([worker.pid for worker in workers if worker.poll() is None], signal.Signals(number))

        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
            signal.signal(number, pass_on)
        ends = [worker.wait() for worker in workers]
        failed = [status for status in ends if status not in (0, *STATUS.values())]
        if failed and len(failed) == len(ends):
            raise SchedulerError(f"all {count} workers of this job ended with {failed}")
        return next((ended for ended, status in STATUS.items() if status in ends), Ended.NOTHING_LEFT)

    def conclude(self, ended: Ended) -> None:
        """See to it that a job goes on which ended before its trials did: at its walltime, or since it was preempted.

        One that was preempted may be Slurm's to queue again, or ours. One that somebody cancelled is left alone.
        """
        if ended is Ended.WALLTIME:
            self._go_on(LOST["TIMEOUT"])
        elif ended is Ended.TERMINATED and self.experiment.stop() is None:
            told = verdict.termination(self.here)
            if told.reason:
                liveness.leave_reason(self.experiment.workers, self.here, told.reason)
            if told.reason and not told.again:
                self._go_on(LOST[told.reason])

    def _go_on(self, why: str) -> None:
        """Have Slurm run this job again, if trials wait for it: requeued, or where that is refused, as a new job.

        The last thing that is done, since a requeued job gets SIGTERM at once.
        """
        if not self._trials_wait() or self._came_back():
            return
        for number in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN)
        try:
            commands.ask("scontrol", "requeue", self.here.task)
            print(f"{why}, and trials are left: {self.here.task} is queued again", flush=True)
        except SchedulerError as refused:
            job = jobs.submit(self.experiment.folder, self._array())
            print(f"{why}, and trials are left: job {job.id} continues ({refused})", flush=True)

    def _trials_wait(self) -> bool:
        """Whether there are trials in nobody's hands."""
        if self.experiment.stop() is not None:
            return False
        ledger = self.experiment.ledger()
        waiting = [
            record for record in ledger.trials.values() if record.committed is None and record.state() != "running"
        ]
        if self.only is not None:
            return any(record.number == self.only for record in waiting)
        return bool(waiting) or len(ledger.trials) < self.experiment.budget

    def _came_back(self) -> bool:
        """Whether a later start of this job is there already: what we asked for would end it."""
        jobs_seen = (identity.job for identity in liveness.identities(self.experiment.workers).values())
        mine = (self.here.cluster, self.here.task)
        return any(job and (job.cluster, job.task) == mine and job.restart > self.here.restart for job in jobs_seen)

    def _array(self) -> Array:
        index = int(self.here.task.partition("_")[2] or 0)
        return Array((index,), 0 if self.only is None else self.only - index)


def main(arguments: Sequence[str]) -> int:
    """Be a job, or with a third argument (the pid to die with) one worker of a crew."""
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
        task = Task(experiment, here, int(first) + int(here.task.partition("_")[2] or 0) if trials else None)
        count = request.workers_per_task(experiment.keywords)
        ended = task.work() if parent or count == 1 else task.crew(count)
        if parent:
            return STATUS.get(ended, 0)
        task.conclude(ended)
    except HpoError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
