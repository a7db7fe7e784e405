"""Values as text: how a program gets those of its parameters, and leaves its own in a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hpo.runners import bootstrap, environment
from hpo.runners.supervision import Ending, Files
from hpo.script import Script


def source(script: Script) -> Path:
    """The file to run: the original, which finds its neighbours, while it is what was submitted; else its copy."""
    copy = script.snapshot.get(script.path, script.path)
    try:
        same = script.path.read_bytes() == copy.read_bytes()
    except OSError:
        same = False
    return script.path if same else copy


def read(files: Files) -> Any:
    """What the script wrote to HPO_RESULT_FILE: JSON, or text as it is; None when there is nothing.

    Besides JSON's numbers it may be NaN or Infinity: then it is a value, though none to count.
    """
    try:
        text = files.result.read_bytes().decode(errors="replace").strip()
    except OSError:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return _number(text) if text else None


def outcome(returned: Any, ending: Ending, objective: str, missing: str) -> dict[str, Any] | None:
    """Judge what was returned, in the form of `bootstrap.py`; None when the way it ended says all.

    missing: why there is no value, when there is none.
    """
    if ending.status != 0:
        return None
    try:
        if returned is None:
            raise bootstrap.NoResult("no-value", missing)
        value, metrics, notes = bootstrap.measure(returned, objective)
    except bootstrap.NoResult as nothing:
        return {"failure": nothing.failure}
    return {"value": value, "metrics": metrics, "notes": notes}


def of_variable(files: Files, ending: Ending, keywords: Mapping[str, Any]) -> dict[str, Any] | None:
    """Judge what a script left in the variable that is for it, as `outcome` does."""
    missing = ": it set neither candle_value_to_return nor val_to_return"
    return outcome(read(files), ending, objective(keywords), missing)


def objective(keywords: Mapping[str, Any]) -> str:
    """The name under which a dictionary or a history holds the value; of several objectives the first."""
    return environment.words(keywords.get("objective") or "val_loss")[0]


def text(value: Any) -> str:
    """A value as a command line has it: text as it is, anything else as JSON writes it."""
    return value if isinstance(value, str) else json.dumps(value)


def _number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text
