"""From how a trial's process ended, and what it left, to its `Result`."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

from hpo.runners.bootstrap import CANNOT_WRITE
from hpo.runners.supervision import Ending
from hpo.trial import Attempt, Failure, Interrupt, Result


def conclude(attempt: Attempt, ending: Ending, outcome: dict[str, Any] | None, *, starved: bool) -> Result:
    """Return the result of an attempt.

    outcome: what `bootstrap.py` wrote, None when it did not come so far. starved: the kernel killed processes for want
    of memory meanwhile.
    """
    notes = (*ending.notes, *(outcome or {}).get("notes", ()))
    if ending.lost:
        return Result(failure=Failure("parent-lost", f": {ending.lost}"), notes=notes)
    if ending.timed_out:
        return Result(failure=Failure("timeout", _duration(attempt.timeout)), notes=notes)
    value = None if outcome is None else outcome.get("value")
    if ending.asked is not None and (ending.obeyed or (value is None and ending.signalled)):
        pruned = ending.asked is Interrupt.PRUNE
        return Result(paused=not pruned, pruned=pruned, notes=notes)
    if outcome is None:
        return Result(failure=_death(ending.status or 0, starved), notes=notes)
    if value is None:
        return Result(failure=Failure(**outcome["failure"]), notes=notes)
    if ending.status:
        notes = (*notes, f"it ended with {_status(ending.status)} after its value was known")
    return Result(value=value, metrics=outcome["metrics"], notes=notes)


def read_outcome(path: Path) -> dict[str, Any] | None:
    """What the bootstrap wrote; None when there is nothing, or no whole record."""
    try:
        outcome = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return outcome if isinstance(outcome, dict) and ("value" in outcome or "failure" in outcome) else None


def _death(status: int, starved: bool) -> Failure:
    """Why a process ended that left no outcome."""
    if status == -signal.SIGKILL:
        return Failure("out-of-memory" if starved else "killed")
    if status < 0:
        return Failure("signal", _signal_name(-status))
    if status == CANNOT_WRITE:
        return Failure("storage", "its result could not be kept")
    if status > 0:
        return Failure("exit-code", str(status))
    return Failure("no-value", ": its process ended before the script was at its end")


def _status(status: int) -> str:
    return f"exit code {status}" if status > 0 else f"signal {_signal_name(-status)}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def _duration(seconds: float | None) -> str:
    return f"{seconds:g} s"
