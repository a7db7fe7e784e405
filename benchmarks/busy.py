"""How busy workers are kept, and how long they wait for proposals.

    python benchmarks/busy.py [--seeds 20] [--run]

Simulated: 16 workers, trials of lognormal lengths (sigma 0.8, a minute in the mean). Each of our proposals takes as
long as it took in a search made here. Beside it who hands out a trial to each free worker at once (list scheduling):
who does not know how long trials will take cannot do better. And batches, each of which waits for its last trial.
Until the last trial begins, and to the very end, when workers find no trial to take any more.

--run: also a real search of 100 sleeping trials (3 s in the mean) by 16 processes, read from its journals.

Waiting: a proposal after 1 000 finished trials that 16 workers recorded, one more having ended; and the first proposal
of a process that has just begun, after 3 000, since its claim and since its start. All in seconds of the processor.
"""

from __future__ import annotations

import argparse
import heapq
import json
import math
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from quality import PROBLEMS, Ours

from hpo import samplers
from hpo.journal import FolderJournal
from hpo.samplers import Task
from hpo.worker.history import History

WORKERS = 16
SIGMA = 0.8
MINUTE = 60.0
SIZES = (100, 200, 400)
SPACE = PROBLEMS["mixed"].space
#: Sampler -> finished trials at which its waiting is measured: where `auto` uses it, the most.
WAITING = {"gp": (299,), "tpe": (1000, 3000), "cmaes": (1000, 3000), "nsga2": (1000, 3000)}


def durations(count: int, seed: int) -> list[float]:
    """Seconds that trials take."""
    dice = random.Random(f"durations/{seed}")
    return [dice.lognormvariate(math.log(MINUTE) - SIGMA**2 / 2, SIGMA) for _ in range(count)]


def asynchronous(lengths: Sequence[float], proposals: Sequence[float]) -> tuple[float, float]:
    """Busy share until the last trial began, and in all; who is free waits for its next proposal, and begins."""
    free = [0.0] * WORKERS
    spans = []
    for length, proposal in zip(lengths, proposals, strict=False):
        begin = heapq.heappop(free) + proposal
        spans.append((begin, begin + length))
        heapq.heappush(free, begin + length)
    return shares(spans)


def shares(spans: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """(until the last begins, in all): of the workers' time, the part in which trials ran."""

    def share(until: float) -> float:
        return sum(max(0.0, min(end, until) - begin) for begin, end in spans) / (WORKERS * until)

    return share(max(begin for begin, _ in spans)), share(max(end for _, end in spans))


def batches(lengths: Sequence[float]) -> tuple[float, float]:
    """The same for batches as large as there are workers."""
    spans: list[tuple[float, float]] = []
    now = 0.0
    for start in range(0, len(lengths), WORKERS):
        batch = lengths[start : start + WORKERS]
        spans.extend((now, now + length) for length in batch)
        now += max(batch)
    return shares(spans)


def proposal_times(count: int) -> list[float]:
    """Seconds of each proposal of a search by TPE, which `auto` takes for long searches."""
    sampler, times = Ours("tpe", SPACE, 0), []
    for number in range(count):
        if number >= WORKERS:
            sampler.tell(number - WORKERS, float(number % 7))
        began = time.process_time()
        sampler.ask(number)
        times.append(time.process_time() - began)
    return times


def print_busy(seeds: int) -> None:
    print(f"Busy share of {WORKERS} workers, mean of {seeds} seeds (least): until the last trial begins / to the end\n")
    print(f"| | {' | '.join(f'{size} trials' for size in SIZES)} |")
    print("|---" * (len(SIZES) + 1) + "|")
    times = proposal_times(max(SIZES))
    rows: dict[str, Callable[[list[float]], tuple[float, float]]] = {
        "ours": lambda lengths: asynchronous(lengths, times),
        "list scheduling": lambda lengths: asynchronous(lengths, [0.0] * len(lengths)),
        "batches": batches,
    }
    for name, row in rows.items():
        cells = []
        for size in SIZES:
            found = list(zip(*(row(durations(size, seed)) for seed in range(seeds)), strict=True))
            cells.append(" / ".join(f"{100 * statistics.fmean(s):.1f} ({100 * min(s):.0f}) %" for s in found))
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


# --- a real search ----------------------------------------------------------------------------------------------------

INPUT = f"""&control
  model_script = sleep.py
  workflow = bayesian
  sampler = tpe
  n_trials = 100
  nworkers = {WORKERS}
/
&default_model
/
&param_space
  x = real(0, 1)
/
"""
SCRIPT = f"""import math, random, time

def run(hyperparams):
    time.sleep(3 * random.lognormvariate({-(SIGMA**2) / 2}, {SIGMA}))
    return hyperparams["x"]
"""


def print_run() -> None:
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        folder = Path(name)
        (folder / "sleep.py").write_text(SCRIPT)
        (folder / "sleep.in").write_text(INPUT)
        words = [sys.executable, "-m", "hpo.cli", "submit-job", "sleep.in", "--executor", "local"]
        subprocess.run(words, cwd=folder, check=True, capture_output=True)
        events = FolderJournal(folder, folder / "experiments/last/journal").read_new()
        ends = {e["n"]: e for e in events if e["e"] == "finished"}
        starts = {e["n"]: e for e in events if e["e"] == "started"}
        began = min(e["t"] for e in starts.values())
        spans = [(e["t"] - e["seconds"] - began, e["t"] - began) for e in ends.values()]
        first, whole = shares(spans)
        print(f"\nA real search of {len(spans)} sleeping trials: {100 * first:.1f} / {100 * whole:.1f} %")


# --- waiting for a proposal -------------------------------------------------------------------------------------------


def record(folder: Path, count: int) -> list[FolderJournal]:
    """Journals of 16 workers that finished `count` trials between them, as workers write them."""
    for part in ("claims", "journal"):
        (folder / part).mkdir()
    journals = [FolderJournal(folder / "claims", folder / "journal", f"w{i}") for i in range(WORKERS)]
    searcher = samplers.create("random", SPACE, {}, 1)
    for number in range(count):
        write(journals[number % WORKERS], searcher.propose([], number), number)
    return journals


def write(journal: FolderJournal, proposal: samplers.Proposal, number: int) -> None:
    started = {"e": "started", "t": 0.0, "n": number, "k": 1, "params": dict(proposal.params)}
    attrs: dict[str, Any] = dict(proposal.system_attrs)
    value = PROBLEMS["mixed"].value(proposal.params)
    finished = {"e": "finished", "t": 1.0, "n": number, "k": 1, "seconds": 1.0, "value": value}
    journal.append([{**started, "system_attrs": attrs}, finished])


def first_proposal(folder: Path, name: str, number: int) -> None:
    """What a worker does from its start to its first proposal; run in a process of its own."""
    journal = FolderJournal(folder / "claims", folder / "journal", "new")
    options = samplers.TABLE[name].options(Task(SPACE, n_trials=number, design_size=10))
    sampler = samplers.create(name, SPACE, options, 1)
    claimed = time.process_time()
    sampler.propose(History(journal).read(), number)
    print(json.dumps([time.process_time() - claimed, time.process_time()]))


def waiting(name: str, count: int) -> tuple[float, float, float]:
    """Seconds: the median of 10 proposals by one process; a new one's first, since its claim, and since its start."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        journals = record(folder, count)
        words = [sys.executable, __file__, "--first", place, name, str(count)]
        claimed, started = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
        history = History(journals[0])
        options = samplers.TABLE[name].options(Task(SPACE, n_trials=count, design_size=10))
        sampler = samplers.create(name, SPACE, options, 1)
        times = []
        for number in range(count, count + 11):
            began = time.process_time()
            proposal = sampler.propose(history.read(), number)
            times.append(time.process_time() - began)
            write(journals[number % WORKERS], proposal, number)
    return statistics.median(times[1:]), claimed, started


def print_waiting() -> None:
    print(
        "\n| sampler, finished trials | a proposal, s | of a minute | a new worker's first, s | with its imports, s |"
    )
    print("|---" * 5 + "|")
    for name, counts in WAITING.items():
        for count in counts:
            again, claimed, started = waiting(name, count)
            share = 100 * again / MINUTE
            print(f"| {name}, {count} | {again:.3f} | {share:.2f} % | {claimed:.2f} | {started:.1f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--run", action="store_true")
    parser.add_argument("--first", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.first:
        folder, name, number = args.first
        first_proposal(Path(folder), name, int(number))
        return
    print_busy(args.seeds)
    if args.run:
        print_run()
    print_waiting()


if __name__ == "__main__":
    main()
