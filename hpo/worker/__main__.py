"""One worker process of an experiment: ``python -m hpo.worker FOLDER EXECUTOR``."""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from hpo import processes
from hpo.errors import HpoError, InternalError
from hpo.experiment import Experiment
from hpo.worker.deadline import Deadline
from hpo.worker.loop import Worker


def main(arguments: Sequence[str]) -> int:
    """Be a worker process: FOLDER EXECUTOR [PARENT], where PARENT is the pid to die with."""
    folder, executor, *parent = arguments
    if parent:
        processes.die_with_parent(int(parent[0]))
    processes.adopt_orphans()
    try:
        deadline = Deadline.of()
        worker = Worker(Experiment(Path(folder)), executor, deadline=deadline)

        def terminate(number: int, frame: FrameType | None) -> None:
            del number, frame
            worker.terminated = True
            deadline.terminated()

        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, terminate)
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
