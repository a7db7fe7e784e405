"""Trials that cost nothing, on Slurm: through workers, as one array task each, and through submitit's map_array.

    tests/cluster/start && uv run --with submitit python benchmarks/slurm.py [TRIALS]

What is measured is the time from the submission to the last result, and what is printed the trials per second. submitit
starts an interpreter for each trial; it gets a tenth of them. Before that: how long it takes to submit, beside sbatch.

On two quiet cores, 16 at a time, trials per second: workers 151, workers without a process for each trial 214, array
tasks that do nothing 58, submitit 4.5. Submitting takes 0.5 s for vae.in, 0.4 s for a grid of 10 000 points, sbatch
itself 0.00 s.
"""

from __future__ import annotations

import functools
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HPO = [sys.executable, "-P", "-m", "hpo.cli"]
AT_ONCE = 16


def grid(folder: Path, trials: int, isolation: str = "process") -> None:
    """Put model.py and model.in there: so many points of a function that costs nothing."""
    (folder / "model.py").write_text("def run(hyperparams):\n    return hyperparams['x']\n")
    control = (
        f"model_script = model.py\nworkflow = grid\nnworkers = {AT_ONCE}\nisolation = {isolation}\nexecutor = slurm"
    )
    space = f"x = int(0, {trials - 1})"
    (folder / "model.in").write_text(f"&control\n{control}\n/\n&default_model\n/\n&param_space\n{space}\n/\n")


def workers(folder: Path, trials: int, isolation: str) -> float:
    """Seconds of a grid search with `AT_ONCE` workers."""
    grid(folder, trials, isolation)
    began = time.monotonic()
    subprocess.run([*HPO, "submit-job", "model.in"], cwd=folder, check=True, capture_output=True)
    claims = folder / "experiments" / "last" / "claims"
    while sum(name.endswith(".done") for name in os.listdir(claims)) < trials:
        time.sleep(0.1)
    return time.monotonic() - began


def array_tasks(folder: Path, trials: int) -> float:
    """Seconds of an array of tasks that do nothing."""
    began = time.monotonic()
    options = [f"--array=0-{trials - 1}%{AT_ONCE}", "--output=/dev/null", "--wrap=true"]
    done = subprocess.run(["sbatch", "--parsable", *options], cwd=folder, check=True, capture_output=True, text=True)
    while subprocess.run(["squeue", "-h", "-j", done.stdout.strip()], capture_output=True).stdout:
        time.sleep(0.2)
    return time.monotonic() - began


def submitit(folder: Path, trials: int) -> float | None:
    """Seconds of submitit's map_array; None where it is not installed."""
    try:
        from submitit import AutoExecutor
    except ImportError:
        return None
    logging.disable(logging.WARNING)  # it misses sacct
    executor = AutoExecutor(folder=folder / "submitit")
    executor.update_parameters(slurm_array_parallelism=AT_ONCE, timeout_min=10, slurm_mem="200M")
    began = time.monotonic()
    for job in executor.map_array(float, range(trials)):
        job.result()
    return time.monotonic() - began


def submission(folder: Path, file: str) -> tuple[float, float]:
    """Seconds of `hpo submit-job`, and of a bare sbatch: the medians of five. The jobs are cancelled."""
    run = functools.partial(subprocess.run, cwd=folder, check=True, capture_output=True, text=True)
    ours = [*HPO, "submit-job", file, "executor=slurm", "--parsable"]
    bare = ["sbatch", "--parsable", "--array=0-7", "--output=/dev/null", "--wrap=true"]
    seconds: list[list[float]] = [[], []]
    for _ in range(5):
        for command, took in zip((ours, bare), seconds, strict=True):
            began = time.monotonic()
            job = run(command).stdout.strip().rpartition(";")[2]
            took.append(time.monotonic() - began)
            run(["scancel", *job.split(",")])
    return statistics.median(seconds[0]), statistics.median(seconds[1])


def submissions() -> None:
    """Print what a submission takes: of a script that imports torch, and of a large grid."""
    with tempfile.TemporaryDirectory() as room:
        grid(Path(room), 10_000)
        subprocess.run([*HPO, "import-template", "vae"], cwd=room, check=True, capture_output=True)
        for file, what in (("vae.in", "vae.in"), ("model.in", "a grid of 10000 points")):
            ours, bare = submission(Path(room), file)
            print(f"{f'submitting {what}':<55} {ours:6.2f} s  beside {bare:.2f} s of a bare sbatch", flush=True)


def main() -> None:
    """Measure and print."""
    submissions()
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    few = max(10, trials // 10)
    cases = {
        f"workers, a process for each trial, {trials} trials": lambda room: (workers(room, trials, "process"), trials),
        f"workers, isolation = none, {trials} trials": lambda room: (workers(room, trials, "none"), trials),
        f"one array task for each trial, {trials} tasks": lambda room: (array_tasks(room, trials), trials),
        f"submitit map_array, {few} trials": lambda room: (submitit(room, few), few),
    }
    for name, measure in cases.items():
        with tempfile.TemporaryDirectory() as room:
            seconds, number = measure(Path(room))
        rate = "submitit is not installed" if seconds is None else f"{seconds:6.1f} s  {number / seconds:6.1f} trials/s"
        print(f"{name:<55} {rate}", flush=True)


if __name__ == "__main__":
    main()
