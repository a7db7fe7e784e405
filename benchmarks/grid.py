"""The cost of a point of a cheap grid, how it grows with the grid, and of opening a large experiment.

    uv run python benchmarks/grid.py [POINTS ...]

Each size is one `hpo submit-job` with eight workers and `isolation = none`: every point is claimed, run, recorded on
the disk and committed, and has its folder. The bare cost of the same system calls, in one process, stands beside it.
Ratios travel between machines, absolute times do not.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WORKERS = 8
INPUT = """&control
  model_script = cheap.py
  workflow = grid
  nworkers = {workers}
  isolation = none
/
&default_model
/
&param_space
  x = {x}
  y = {y}
/
"""


def command(*words: str, cwd: Path) -> tuple[float, str]:
    """(seconds, standard output) of one hpo command."""
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "hpo.cli", *words], cwd=cwd, capture_output=True, text=True, check=True
    )
    return time.perf_counter() - begin, done.stdout


def bare(folder: Path, count: int = 2000) -> float:
    """Seconds for the system calls of one point: a folder, a link to it, four files, two claims, two durable lines."""
    for name in ("run", "claims"):
        (folder / name).mkdir()
    journal = os.open(folder / "journal", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    begin = time.perf_counter()
    for n in range(count):
        os.symlink("worker", f"{folder}/claims/{n}.1")
        _line(journal)
        os.mkdir(f"{folder}/run/.{n}")
        os.symlink(f".{n}", f"{folder}/run/{n}")
        for name in ("params.json", "out", "value.json", ".result"):
            descriptor = os.open(f"{folder}/run/.{n}/{name}", os.O_WRONLY | os.O_CREAT)
            os.write(descriptor, b"x" * 100)
            os.close(descriptor)
        os.rename(f"{folder}/run/.{n}/.result", f"{folder}/run/.{n}/result.txt")
        _line(journal)
        os.symlink("worker", f"{folder}/claims/{n}.done")
    return (time.perf_counter() - begin) / count


def _line(descriptor: int) -> None:
    os.write(descriptor, b"x" * 100 + b"\n")
    os.fdatasync(descriptor)


def main() -> None:
    sizes = [int(word) for word in sys.argv[1:]] or [1000, 10_000, 100_000]
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        print(f"bare system calls of a point, one process: {bare(Path(name)) * 1e3:.3f} ms\n")
    print(f"{'points':>8} {'ms/point':>9} {'ratio':>6} {'status s':>9} {'folder MB':>10}")
    first = None
    for size in sizes:
        with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
            folder = Path(name)
            (folder / "cheap.py").write_text("def run(hyperparams):\n    return hyperparams['x'] + hyperparams['y']\n")
            (folder / "cheap.in").write_text(
                INPUT.format(workers=WORKERS, x=list(range(size // 100)), y=list(range(100)))
            )
            start, _ = command("submit-job", "cheap.in", "--dry-run", cwd=folder)
            seconds, _ = command("submit-job", "cheap.in", cwd=folder)
            per_point = (seconds - start) / size
            first = first or per_point
            opening, out = command("status", "--json", cwd=folder)
            assert json.loads(out)["trials"]["completed"] == size
            used = int(
                subprocess.run(["du", "-sm", folder], capture_output=True, text=True, check=True).stdout.split()[0]
            )
            print(f"{size:>8} {per_point * 1e3:>9.3f} {per_point / first:>6.2f} {opening:>9.2f} {used:>10}", flush=True)


if __name__ == "__main__":
    main()
