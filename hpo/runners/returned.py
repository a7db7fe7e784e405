"""Scripts that leave their value as text, in a file: R, bash, and any other program."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hpo.runners import bootstrap
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


def _number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text
