"""What an isolated no-op trial costs, beside a bare fork and a fresh process of the same interpreter.

``python benchmarks/trial_cost.py [--trials 30] [--workers 2]`` prints a table for a script that imports torch and
torchvision, and one for each language whose interpreter is installed. All rows are measured in the same run, with as
many workers side by side: only the ratios travel from machine to machine.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hpo import runners
from hpo.script import Script
from hpo.trial import Attempt, Interrupt

TORCH = """
import torch, torchvision

def run(hyperparams):
    return private_mib() if hyperparams["measure"] else 0.0

def private_mib():
    with open("/proc/self/smaps_rollup") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith("Private_")) / 1024
"""


class Nobody:
    """A watch that never asks for anything."""

    def poll(self) -> Interrupt | None:
        return None

    def report(self, step: int, value: float) -> None:
        pass


def attempts(folder: Path, count: int, measure: bool) -> Iterator[Attempt]:
    scratch = folder / "scratch"
    scratch.mkdir()
    for n in range(count):
        (folder / str(n)).mkdir()
        env = {"HPO_WORKER": f"benchmark-{os.getpid()}"}
        yield Attempt(n, 1, str(n), {"measure": measure}, folder / str(n), scratch, env, rng_seed=n)


def ours(
    script: Script, settings: dict[str, Any], trials: int, measure: bool = False
) -> tuple[list[float], list[float]]:
    """Milliseconds and values of each trial but the first, which starts the parent."""
    times, values = [], []
    runner = runners.create(script, settings)
    with tempfile.TemporaryDirectory() as folder:
        for attempt in attempts(Path(folder), trials + 1, measure):
            began = time.perf_counter()
            result = runner.run(attempt, Nobody())
            times.append((time.perf_counter() - began) * 1e3)
            assert result.value is not None, result
            values.append(result.value)
    runner.close()
    return times[1:], values[1:]


def bare(command: list[str], trials: int) -> tuple[list[float], list[float]]:
    """Milliseconds of starting a command and waiting for it."""
    times = []
    for _ in range(trials):
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append((time.perf_counter() - began) * 1e3)
    return times, []


def bare_fork(trials: int) -> tuple[list[float], list[float]]:
    """Milliseconds of os.fork, os._exit and os.waitpid in a process that has imported the packages."""
    program = (
        "import json, os, time, torch, torchvision\nseen = []\n"
        f"for _ in range({trials}):\n"
        "    began = time.perf_counter()\n    pid = os.fork()\n    pid or os._exit(0)\n    os.waitpid(pid, 0)\n"
        "    seen.append((time.perf_counter() - began) * 1e3)\nprint(json.dumps(seen))"
    )
    env = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return json.loads(subprocess.check_output([sys.executable, "-c", program], env=env)), []


def side_by_side(measure: Callable[..., Any], workers: int, *arguments: Any) -> tuple[list[float], list[float]]:
    """The measurements of several workers at once, together."""
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        parts = [pool.apply_async(measure, arguments) for _ in range(workers)]
        results = [part.get() for part in parts]
    return [t for times, _ in results for t in times], [v for _, values in results for v in values]


def row(name: str, times: list[float], unit: float) -> float:
    median = statistics.median(times)
    print(f"{name:<44} {median:9.1f} ms {max(times):9.1f} ms {median / unit:8.1f}")
    return median


def torch_table(folder: Path, trials: int, workers: int) -> None:
    path = folder / "torch_model.py"
    path.write_text(TORCH)
    warm = Script(path, form="run", preload=("torch", "torchvision"), snapshot={path: path})
    fork, _ = side_by_side(bare_fork, workers, trials)
    unit = statistics.median(fork)
    print(f"{'a no-op trial, torch and torchvision':<44} {'median':>12} {'worst':>12} {'/ fork':>8}")
    row("a bare fork", fork, unit)
    row("isolation = process", side_by_side(ours, workers, warm, {}, trials)[0], unit)
    row("isolation = none", side_by_side(ours, workers, warm, {"isolation": "none"}, trials)[0], unit)
    fresh, _ = side_by_side(bare, workers, [sys.executable, "-c", "import torch, torchvision"], 3)
    row("a fresh process", fresh, unit)
    private = side_by_side(ours, workers, warm, {}, 3, True)[1]
    print(f"private memory of a trial: {max(private):.1f} MiB\n")


#: language: (file, text, how the bare interpreter is started)
LANGUAGES = {
    "python": ("model.py", "def run(hyperparams):\n    return 1.0\n", [sys.executable, "-c", "pass"]),
    "rscript": ("model.R", "candle_value_to_return <- 1\n", ["Rscript", "-e", "invisible(1)"]),
    "bash": ("model.sh", "candle_value_to_return=1\n", ["bash", "-c", ":"]),
    "command": ("model", "#!/bin/sh\necho IMPROVE_RESULT val_loss: 1\n", ["/bin/sh", "-c", ":"]),
}


def language_table(folder: Path, trials: int, workers: int) -> None:
    print(f"{'a no-op trial in':<24} {'bare start':>14} {'ours':>14} {'added':>12}")
    for name, (file, text, command) in LANGUAGES.items():
        if name not in runners.TABLE or shutil.which(command[0]) is None:
            continue
        path = folder / file
        path.write_text(text)
        path.chmod(0o755)
        started = statistics.median(side_by_side(bare, workers, command, trials)[0])
        script = Script(path, runner=name, form="run", snapshot={path: path})
        taken = statistics.median(side_by_side(ours, workers, script, {}, trials)[0])
        print(f"{name:<24} {started:11.1f} ms {taken:11.1f} ms {taken - started:9.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        torch_table(Path(folder), options.trials, options.workers)
        language_table(Path(folder), options.trials, options.workers)


if __name__ == "__main__":
    main()
