"""One worker process of an experiment: ``python -m hpo.worker FOLDER EXECUTOR``."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from hpo import processes
from hpo.errors import HpoError, InternalError
from hpo.experiment import Experiment
from hpo.slurm.board import Board
from hpo.slurm.place import Incarnation
from hpo.slurm.verdict import TimeLeft
from hpo.worker.deadline import Deadline
from hpo.worker.loop import Worker


def main(arguments: Sequence[str]) -> int:
    """Be a worker process: FOLDER EXECUTOR [PARENT], where PARENT is the pid to die with."""
    folder, executor, *parent = arguments
    if parent:
        processes.die_with_parent(int(parent[0]))
    processes.adopt_orphans()
    try:
        experiment, job = Experiment(Path(folder)), Incarnation.here()
        deadline = Deadline.of(told=TimeLeft(Board(experiment.scheduler), job)) if job else Deadline.of()
        worker = Worker(experiment, executor, deadline=deadline)
        worker.heed_signals()
        worker.run()
    except HpoError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except Exception:
        traceback.print_exc()
        return InternalError.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
