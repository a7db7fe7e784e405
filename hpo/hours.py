"""How long an experiment has run: the time in which a worker was there, over all workers and restarts."""

from __future__ import annotations

import os
from pathlib import Path


def seconds_used(workers: Path, journals: Path) -> float:
    """Return the seconds in which at least one worker was there.

    A worker was there from the time of its record to that of its last heartbeat or entry in its journal. These times
    are given by the one clock of the file system, so that the clocks of two hosts are never compared.
    """
    begun = _times(workers, hidden_suffix=".beat")
    last = _times(workers, suffix=".beat")
    for name, when in _times(journals, suffix=".jsonl").items():
        worker = name.split(".", 1)[0]
        last[worker] = max(last.get(worker, when), when)
    return _union([(start, max(start, last.get(worker, start))) for worker, start in begun.items()])


def _times(folder: Path, suffix: str = "", hidden_suffix: str = "\0") -> dict[str, float]:
    """Name without suffix -> time of the last change."""
    found = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(suffix) and not entry.name.endswith(hidden_suffix) and entry.name[0] != ".":
                found[entry.name.removesuffix(suffix)] = entry.stat().st_mtime
    return found


def _union(intervals: list[tuple[float, float]]) -> float:
    total, reached = 0.0, float("-inf")
    for start, end in sorted(intervals):
        if end > reached:
            total += end - max(start, reached)
            reached = end
    return total
