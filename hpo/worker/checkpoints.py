"""What an attempt left to go on from: looked at from outside, whatever wrote it."""

from __future__ import annotations

import os
import time
from pathlib import Path


class Checkpoints:
    """The files in an attempt's checkpoint folder, compared with those that were there when this object was made."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._began = time.time()
        self._clock = time.monotonic()
        self._first: float | None = None
        self._before = set(files(folder))

    @property
    def before(self) -> bool:
        """Whether there were files already."""
        return bool(self._before)

    def new(self) -> bool:
        """Whether there is a file that was not there before."""
        return not self._before.issuperset(files(self._folder))

    def look(self) -> None:
        """Note when the first new file is there; call it every few seconds while the attempt runs.

        Afterwards that cannot be told: older files may be gone, or all be one that is written again and again.
        """
        if self._first is None and self.new():
            self._first = time.monotonic() - self._clock

    def needed(self) -> float:
        """Seconds until the first new file was seen, else what their times tell of one; 0 without any."""
        if self._first is not None:
            return self._first
        times = sorted(time for name, time in files(self._folder) if (name, time) not in self._before)
        if not times:
            return 0.0
        return max(0.0, times[-1] - (times[-2] if len(times) > 1 else self._began))


def files(folder: Path) -> list[tuple[str, float]]:
    """What was saved in a checkpoint folder, with its times."""
    try:
        with os.scandir(folder) as entries:
            return [(each.name, each.stat().st_mtime) for each in entries if not each.name.startswith(".")]
    except OSError:  # no such folder: nothing was saved; or a file that its writer removed meanwhile
        return []
