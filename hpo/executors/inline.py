"""One worker, in this very process: for debugging, and for tests."""

from __future__ import annotations

from typing import ClassVar

from hpo.executors.base import MakeWorker, Running
from hpo.experiment import Experiment


class InlineExecutor:
    """Runs the loop itself, whatever number of workers is asked for: `alive` returns when it has ended."""

    in_process: ClassVar = True
    queued: ClassVar = False

    def __init__(self, make_worker: MakeWorker, *, detach: bool = False) -> None:
        del detach  # the command line refuses it for this executor
        self._make_worker = make_worker
        self._worker: Running | None = None

    def start(self, experiment: Experiment, count: int) -> None:
        """Make the worker; it begins with the first call of `alive`."""
        del count
        self._worker = self._make_worker(experiment, "inline")

    def alive(self) -> bool:
        """Take trials until there are none; then False."""
        if self._worker is not None:
            self._worker.run()
        return False

    def cancel(self, *, now: bool = False) -> None:
        """Have the loop end its trial and stop. `now` changes nothing: the caller ends the process itself."""
        del now
        if self._worker is not None:
            self._worker.terminate()
