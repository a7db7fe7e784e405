"""Durable claims and results a second, of 1 to 32 workers, beside what the disk and Optuna's storages can do.

    uv run --with optuna python benchmarks/journal.py

A point costs two claims (symbolic links) and two appended records, each on the disk before the next step; Optuna is
asked for the same: a trial that is asked for and told. Ratios travel between machines, absolute times do not.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

from hpo.journal import FolderJournal

POINTS = 6000


def bare_fdatasync(folder: Path, count: int = 2000) -> float:
    """Seconds for one appended line on the disk."""
    descriptor = os.open(folder / "bare", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    begin = time.perf_counter()
    for _ in range(count):
        os.write(descriptor, b"x" * 100 + b"\n")
        os.fdatasync(descriptor)
    return (time.perf_counter() - begin) / count


def work(folder: Path, worker: str, points: int) -> int:
    """Take points until there are none, as the worker's loop does; return how many."""
    journal = FolderJournal(folder / "claims", folder / "journal", worker)
    taken = n = 0
    while (n := journal.first_unclaimed(n)) < points:
        if journal.claim(f"{n}.1") == worker:
            journal.append([{"e": "started", "n": n, "k": 1, "params": {"x": n}}])
            journal.append([{"e": "finished", "n": n, "k": 1, "value": n / 7}])
            journal.claim(f"{n}.done", ".1")
            taken += 1
    return taken


def ours(workers: int, points: int = POINTS) -> tuple[float, float]:
    """(points a second, busiest over idlest worker); checks that none was lost or doubled."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        folder = Path(name)
        (folder / "claims").mkdir()
        (folder / "journal").mkdir()
        with get_context("fork").Pool(workers) as pool:
            pool.map(abs, range(workers))
            begin = time.perf_counter()
            taken = pool.starmap(work, [(folder, f"w{i}", points) for i in range(workers)], chunksize=1)
            seconds = time.perf_counter() - begin
        reader = FolderJournal(folder / "claims", folder / "journal")
        finished = Counter(e["n"] for e in reader.read_new() if e["e"] == "finished")
        assert finished == dict.fromkeys(range(points), 1), "lost or doubled"
        return points / seconds, max(taken) / max(1, min(taken))


def _optuna_worker(storage: Callable[[], object], count: int) -> None:
    import optuna

    study = optuna.load_study(study_name="s", storage=storage(), sampler=optuna.samplers.RandomSampler())
    for _ in range(count):
        trial = study.ask()
        study.tell(trial, trial.suggest_float("x", 0, 1))


def optuna_rate(kind: str, workers: int, points: int) -> float:
    """Points a second of Optuna's storage `kind` with processes."""
    import optuna
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend

    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:

        def storage() -> object:
            if kind == "journal":
                return JournalStorage(JournalFileBackend(f"{name}/log"))
            return RDBStorage(f"sqlite:///{name}/db", engine_kwargs={"connect_args": {"timeout": 100}})

        optuna.create_study(study_name="s", storage=storage())
        context = get_context("fork")
        begin = time.perf_counter()
        processes = [context.Process(target=_optuna_worker, args=(storage, points // workers)) for _ in range(workers)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        return points / (time.perf_counter() - begin)


def main() -> None:
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        sync = bare_fdatasync(Path(folder))
    print(f"bare fdatasync of a line: {sync * 1e6:.0f} us, {1 / sync:.0f} a second\n")
    print(f"{'workers':>8} {'points/s':>9} {'busiest/idlest':>15}")
    for workers in (1, 8, 32):
        rate, spread = ours(workers)
        print(f"{workers:>8} {rate:>9.0f} {spread:>15.2f}")
    warnings.simplefilter("ignore")
    logging.disable()
    for kind in ("journal", "sqlite"):
        for workers in (1, 8):
            rate = optuna_rate(kind, workers, 400)
            print(f"{f'Optuna {kind}, {workers}':>24} {rate:>7.0f} points/s")


if __name__ == "__main__":
    main()
