"""Worker processes on this machine, or on all nodes of the allocation in which this process runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import IO, ClassVar

from hpo import processes
from hpo.errors import HpoError, InternalError, RunError, StorageError
from hpo.executors.base import MakeWorker
from hpo.experiment import Experiment
from hpo.slurm import allocation
from hpo.slurm.allocation import Allocation

#: Seconds after which it is said that no step of the allocation has begun yet: srun waits for its turn silently.
TELL_AFTER = 30.0
#: Times that workers are lost without a trial finished in between, before we give up.
GIVE_UP = 5


@dataclass(frozen=True, slots=True, eq=False)
class _Started:
    """A worker process, or in an allocation the step in which `workers` of them run. slot: the first one's place.

    words_from: where its own words begin in `last_words`.
    """

    process: subprocess.Popen[bytes]
    last_words: IO[bytes]
    words_from: int
    slot: int
    workers: int


class LocalExecutor:
    """`count` worker processes, each a session of its own so that a Ctrl-C on the terminal reaches only us.

    They die with this process, whatever kills it, unless `detach` is set.
    """

    in_process: ClassVar = False
    queued: ClassVar = False

    def __init__(self, make_worker: MakeWorker, *, detach: bool = False) -> None:
        del make_worker  # the processes make their own: `python -m hpo.worker`
        self._detach = detach
        self._workers: list[_Started] = []
        self._allocation: Allocation | None = None
        self._cancelled = False
        self._told: set[int] = set()
        self._errors: list[HpoError] = []
        self._begin_by = float("inf")
        self._losses = 0
        self._done = 0

    def start(self, experiment: Experiment, count: int) -> None:
        """Begin `count` worker processes, or as many as were begun when `cancel` came."""
        self._experiment = experiment
        self._allocation = allocation.here(experiment.keywords)
        if self._allocation:
            self._begin_by = time.monotonic() + TELL_AFTER
            self._before = self._ever()
        share = self._allocation.share if self._allocation else 1
        for slot in range(0, count, share):
            if not self._cancelled:
                self._begin(slot, min(share, count - slot))

    def alive(self) -> bool:
        """Reap the workers that ended; replace those that something killed while trials are left."""
        self._tell_of_waiting()
        if self._cancelled:
            self._tell()  # also the one that was about to begin when `cancel` came
        lost = [started for started in list(self._workers) if self._reap(started)]
        if lost and not self._cancelled and self._work_left():
            for started in lost:
                self._begin(started.slot, started.workers)
        if not self._workers and self._errors and self._committed() < self._experiment.budget:
            raise self._errors[0]
        return bool(self._workers)

    def cancel(self, *, now: bool = False) -> None:
        """Send the workers TERM, which ends their trials cleanly, or KILL and everything of theirs with them."""
        self._cancelled = True
        if now:
            for started in self._workers:
                processes.kill([*processes.descendants(started.process.pid), started.process.pid])
        else:
            self._tell()

    def _tell_of_waiting(self) -> None:
        """Say it, once, when the steps do not begin."""
        if time.monotonic() < self._begin_by:
            return
        self._begin_by = float("inf")
        if self._allocation is not None and self._ever() == self._before:
            print(f"no worker has begun yet: {self._allocation.waiting}", file=sys.stderr, flush=True)

    def _ever(self) -> int:
        """How many workers there have been."""
        return len(os.listdir(self._experiment.workers))

    def _tell(self) -> None:
        for process in (started.process for started in self._workers):
            if process.pid not in self._told:
                self._told.add(process.pid)
                process.send_signal(signal.SIGTERM)

    def _begin(self, slot: int, workers: int) -> None:
        command = [sys.executable, "-P", "-m", "hpo.worker", str(self._experiment.folder), "local"]
        own: dict[str, str] = {}
        if self._allocation is not None:
            command = [*self._allocation.step(workers, tied=not self._detach), *command]
        else:
            own = allocation.devices(self._experiment.keywords, slot)
            command += [] if self._detach else [str(os.getpid())]
        last_words = self._last_words()
        words_from = last_words.seek(0, os.SEEK_END)
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=last_words,
            stderr=last_words,
            start_new_session=True,
            env={**os.environ, **own},
        )
        self._workers.append(_Started(process, last_words, words_from, slot, workers))

    def _last_words(self) -> IO[bytes]:
        """Where a worker's own messages go: not on the disk it may complain of, unless nobody stays to hear them."""
        return (self._experiment.logs / "workers.log").open("ab+") if self._detach else tempfile.TemporaryFile()

    def _reap(self, started: _Started) -> bool:
        """Forget a worker that has ended; whether something killed it."""
        status, last_words = started.process.poll(), started.last_words
        if status is None:
            return False
        if self._allocation is not None and status > 128:  # srun's way of telling a signal
            status = 128 - status
        self._workers.remove(started)
        last_words.seek(started.words_from)
        words = last_words.read().decode(errors="replace").strip()
        last_words.close()
        if status > 0:
            self._errors.append(_error(status, words))
        return status < 0

    def _work_left(self) -> bool:
        """Whether trials are left, and some were finished since the last few losses."""
        done = self._committed()
        self._losses = self._losses + 1 if done == self._done else 1
        self._done = done
        if self._losses > GIVE_UP:
            self._errors.append(RunError(f"workers were killed {GIVE_UP} times before a trial was finished"))
            return False
        return done < self._experiment.budget

    def _committed(self) -> int:
        return len(self._experiment.committed())


def _error(status: int, words: str) -> HpoError:
    if status == InternalError.exit_code:
        return InternalError(f"a worker failed; please report this:\n{words}")
    return StorageError(words)
