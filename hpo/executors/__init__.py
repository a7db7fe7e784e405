"""Where workers run: one file and one row of the table for each executor."""

from __future__ import annotations

from collections.abc import Mapping

from hpo.executors.base import Executor, MakeWorker
from hpo.executors.inline import InlineExecutor
from hpo.executors.local import LocalExecutor
from hpo.executors.slurm import SlurmExecutor

TABLE: Mapping[str, type[Executor]] = {
    "inline": InlineExecutor,
    "local": LocalExecutor,
    "slurm": SlurmExecutor,
}


def create(name: str, make_worker: MakeWorker, *, detach: bool = False) -> Executor:
    """Make the executor `name`."""
    return TABLE[name](make_worker, detach=detach)


__all__ = ["TABLE", "Executor", "create"]
