"""What a running script tells, and what it is told: plain files and variables of its environment.

HPO_REPORT_FILE: a line ``{"step": s, "value": v}`` is appended for each report. HPO_STOP_FILE: exists when the script
is asked to stop; it holds `pause` or `prune`. HPO_END_TIME: when the job ends, as a Unix time.
"""

from __future__ import annotations

import json
import operator
import os
import time
from pathlib import Path
from typing import Any, Literal, SupportsIndex, cast

StopReason = Literal["pause", "prune"]


def report(step: SupportsIndex, value: Any) -> bool:
    """Tell the value of the objective after `step` (an epoch, from 1); return True when the script should stop now.

    step: an integer. value: anything that `float()` takes: a number, a NumPy or torch scalar. TypeError or ValueError
    when they are not. A script that stops saves a checkpoint first (`checkpoint.save` knows when there is no need to)
    and returns its value as usual. Outside an experiment: does nothing, returns False.
    """
    line = {"step": _integer(step), "value": _number(value)}
    path = os.environ.get("HPO_REPORT_FILE")
    if path:
        _append(path, json.dumps(line).encode() + b"\n")
    reason = stop_requested()
    if reason:
        _acknowledge()
    return reason is not None


def stop_requested() -> StopReason | None:
    """Why this script is asked to stop: "pause" (another job continues it), "prune" (not promising), or None."""
    path = os.environ.get("HPO_STOP_FILE")
    if not path:
        return None
    try:
        text = Path(path).read_text("utf-8").strip()
    except FileNotFoundError:
        return None
    # A file without a known word, as `touch` leaves it, is a pause: the answer with which nothing is lost.
    return cast("StopReason", text) if text == "prune" else "pause"


def time_left() -> float | None:
    """Seconds until the job ends (negative when it is over), or None when nothing ends it."""
    end = os.environ.get("HPO_END_TIME")
    return float(end) - time.time() if end else None


def _integer(step: SupportsIndex) -> int:
    try:
        return operator.index(step)
    except TypeError:
        raise TypeError(f"report takes an integer as its step, not {step!r}") from None


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise type(error)(f"report takes a number as its value, not {value!r}") from None


def _append(path: str, line: bytes) -> None:
    """One write at the end of the file: lines of several processes never mix."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        if os.write(descriptor, line) != len(line):
            raise OSError(f"could not write a whole report to {path}: the disk may be full")
    finally:
        os.close(descriptor)


def _acknowledge() -> None:
    """Leave ``<stop file>.seen``: what the script returns from here on is not the value of a whole run.

    Without it a script that just happened to finish when it was asked to stop could not be told from one that obeyed.
    """
    Path(os.environ["HPO_STOP_FILE"] + ".seen").touch()
