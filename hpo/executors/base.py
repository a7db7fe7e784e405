"""What every executor does: begin workers, tend them, end them. All run the same loop, which they are handed."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Protocol

from hpo.experiment import Experiment


class Running(Protocol):
    """A worker as an executor sees it (`hpo.worker.loop.Worker`)."""

    def run(self) -> object:
        """Take trials until there are none, or until it is terminated."""
        ...

    def terminate(self) -> None:
        """End the trial cleanly and take no other; signal handlers may call it."""
        ...


#: Makes a worker of an experiment, for the executor of that name.
MakeWorker = Callable[[Experiment, str], Running]


class Executor(Protocol):
    """Where the workers of one experiment run. `hpo.executors.TABLE` has a row for each.

    in_process: the worker is in the process that starts it, which therefore cannot leave it behind.
    queued: the workers are jobs that wait at a scheduler, and nobody needs to stay with them.
    """

    in_process: ClassVar[bool]
    queued: ClassVar[bool]

    def __init__(self, make_worker: MakeWorker, *, detach: bool = False) -> None:
        """detach: the workers shall outlive this process."""
        ...

    def start(self, experiment: Experiment, count: int) -> None:
        """Begin `count` workers."""
        ...

    def alive(self) -> bool:
        """Whether a worker is left; replaces those that were lost while there is work.

        Raises `HpoError` with the sentence of a worker that could not go on, once all have ended.
        """
        ...

    def cancel(self, *, now: bool = False) -> None:
        """Tell the workers to end their trials cleanly and stop, or kill them `now`; a signal handler may call it."""
        ...
