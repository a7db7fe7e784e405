"""Worker processes on this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from typing import IO

from hpo import processes
from hpo.errors import HpoError, InternalError, RunError, StorageError
from hpo.executors.base import MakeWorker
from hpo.experiment import Experiment

#: Workers that die one after the other without finishing a trial, before we give up.
GIVE_UP = 5


class LocalExecutor:
    """`count` worker processes, each a session of its own so that a Ctrl-C on the terminal reaches only us.

    They die with this process, whatever kills it, unless `detach` is set.
    """

    def __init__(self, make_worker: MakeWorker, *, detach: bool = False) -> None:
        del make_worker  # the processes make their own: `python -m hpo.worker`
        self._detach = detach
        self._workers: list[tuple[subprocess.Popen[bytes], IO[bytes]]] = []
        self._cancelled = False
        self._errors: list[HpoError] = []
        self._lost = 0
        self._done = 0

    def start(self, experiment: Experiment, count: int) -> None:
        """Begin `count` worker processes."""
        self._experiment = experiment
        for _ in range(count):
            self._start_one()

    def alive(self) -> bool:
        """Reap the workers that ended; replace those that something killed while trials are left."""
        for worker in list(self._workers):
            status = worker[0].poll()
            if status is not None:
                self._workers.remove(worker)
                self._reaped(status, worker[1])
        if not self._workers and self._errors:
            raise self._errors[0]
        return bool(self._workers)

    def cancel(self, *, now: bool = False) -> None:
        """Send the workers TERM, which ends their trials cleanly, or KILL and everything of theirs with them."""
        self._cancelled = True
        for process, _ in self._workers:
            if now:
                processes.kill([*processes.descendants(process.pid), process.pid])
            else:
                process.send_signal(signal.SIGTERM)

    def _start_one(self) -> None:
        command = [sys.executable, "-P", "-m", "hpo.worker", str(self._experiment.folder), "local"]
        if not self._detach:
            command.append(str(os.getpid()))
        last_words = self._last_words()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=last_words,
            stderr=last_words,
            start_new_session=True,
        )
        self._workers.append((process, last_words))

    def _last_words(self) -> IO[bytes]:
        """Where a worker's own messages go: not on the disk it may complain of, unless nobody stays to hear them."""
        return (self._experiment.logs / "workers.log").open("ab") if self._detach else tempfile.TemporaryFile()

    def _reaped(self, status: int, last_words: IO[bytes]) -> None:
        last_words.seek(0)
        words = last_words.read().decode(errors="replace").strip()
        last_words.close()
        if status > 0:
            self._errors.append(_error(status, words))
        elif status < 0 and not self._cancelled and self._work_left():
            self._start_one()

    def _work_left(self) -> bool:
        """Whether trials are left, and the last replacements came further than the ones before."""
        done = sum(1 for key in self._experiment.journal().claimed() if ".done" in key)
        self._lost = self._lost + 1 if done == self._done else 1
        self._done = done
        if self._lost > GIVE_UP:
            self._errors.append(RunError(f"{GIVE_UP} workers in a row were killed before they finished a trial"))
            return False
        return done < self._experiment.budget


def _error(status: int, words: str) -> HpoError:
    if status == StorageError.exit_code:
        return StorageError(words)
    return InternalError(f"a worker failed; please report this:\n{words}")
