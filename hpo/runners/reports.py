"""Reads what a running script reports through HPO_REPORT_FILE."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

#: Bytes read in one go, so that a flood of reports does not keep the supervisor from its other duties.
_BLOCK = 1 << 20


class ReportTail:
    """Follows a report file while a script appends to it.

    A line is ``{"step": 3, "value": 0.25}`` or ``3 0.25``. A line that is neither is skipped, and counted.
    """

    def __init__(self, path: Path, tell: Callable[[int, float], None]) -> None:
        self._path = path
        self._tell = tell
        self._offset = 0
        self._rest = b""
        self.seen = 0
        self.skipped = 0

    def read(self) -> bool:
        """Pass on the whole lines that are new, up to a block of them; return whether there was anything."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read(_BLOCK)
        except OSError:
            return False
        self._offset += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[:_BLOCK]  # no report is as long as that
        for line in lines:
            self._take(line)
        return bool(data)

    def finish(self) -> None:
        """Pass on all that is left, a last line without its end too."""
        while self.read():
            pass
        rest, self._rest = self._rest, b""
        self._take(rest)

    def _take(self, line: bytes) -> None:
        if not line.strip():
            return
        report = _parsed(line)
        if report is None:
            self.skipped += 1
            return
        self.seen += 1
        self._tell(*report)


def _parsed(line: bytes) -> tuple[int, float] | None:
    try:
        if line.lstrip().startswith(b"{"):
            record = json.loads(line)
            return _step(record["step"]), float(record["value"])
        step, value = line.split()
        return _step(step.decode()), float(value)
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None


def _step(text: str | float) -> int:
    """A step as a whole number; R writes 1e+05 and 3.0 for some."""
    number = float(text)
    if number != int(number):
        raise ValueError(text)
    return int(number)
