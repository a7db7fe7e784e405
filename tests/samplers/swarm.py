"""Many workers of one experiment that take long to import what they need: forked from one process that has it all.

    python swarm.py EXPERIMENT WORKERS SEED [KILL_AFTER …]

Whenever so many trials have ended, half of the workers get a SIGKILL, and others come in their place.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

import cmaes  # noqa: F401
import scipy.optimize
import scipy.stats  # noqa: F401
import torch  # noqa: F401

import hpo.samplers.optuna_sampler  # noqa: F401
from hpo.experiment import Experiment
from hpo.results.view import View
from hpo.worker.loop import Worker


def fork(folder: Path) -> int:
    """Begin a worker; return its pid."""
    pid = os.fork()
    if pid == 0:
        Worker(Experiment(folder), "local").run()
        os._exit(0)
    return pid


def finished(folder: Path) -> int:
    return View(Experiment(folder)).finished


def main(folder: Path, count: int, seed: int, kills: list[int]) -> None:
    dice = random.Random(seed)
    workers = [fork(folder) for _ in range(count)]
    for after in kills:
        while finished(folder) < after:
            time.sleep(0.05)
        for place in dice.sample(range(count), count // 2):
            os.kill(workers[place], signal.SIGKILL)
            os.waitpid(workers[place], 0)
            workers[place] = fork(folder)
    for pid in workers:
        os.waitpid(pid, 0)
    Worker(Experiment(folder), "local").run()  # what the last ones left


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), [int(word) for word in sys.argv[4:]])
