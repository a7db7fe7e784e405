"""Python scripts, in a process of their own (below a warm parent) or in the worker itself."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from hpo.runners.base import IsolatedRunner
from hpo.runners.supervision import Files
from hpo.script import Script
from hpo.trial import Attempt

#: torch's optimisers import this when the first one is made, which takes longer than importing torch itself.
_DYNAMO = "torch._dynamo"


class PythonRunner(IsolatedRunner):
    """Forks each trial from a parent that has imported what the script imports; see `parent.py`."""

    def __init__(self, script: Script, settings: Mapping[str, Any]) -> None:
        super().__init__([sys.executable], {**program(script, settings), "preload": preload(script)}, {})

    def request(self, attempt: Attempt, files: Files) -> dict[str, Any]:
        """What `bootstrap.py` needs for one trial."""
        del files
        return {"params": dict(attempt.params), "seed": attempt.rng_seed, "nthreads": attempt.nthreads}


def program(script: Script, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What `bootstrap.Program` needs."""
    return {
        "script": str(script.path.absolute()),
        "form": script.form,
        "snapshot": {str(original): str(copy) for original, copy in script.snapshot.items()},
        "path": words(settings.get("supp_pythonpath"), os.pathsep),
        "argv": words(settings.get("extra_script_args")),
        "objective": next(iter(words(settings.get("objective"))), "val_loss"),
    }


def preload(script: Script) -> list[str]:
    """The packages that the parent imports beforehand."""
    names = list(script.preload)
    with_torch = any(name.partition(".")[0] == "torch" for name in names)
    if with_torch and any(b"optim" in copy.read_bytes() for copy in script.snapshot.values()):
        names.append(_DYNAMO)
    return names


def words(value: str | Sequence[str] | None, separator: str | None = None) -> list[str]:
    """A keyword's value as a list: given as one, or as text, split at `separator` or as a shell splits words."""
    if value is None or isinstance(value, str):
        parts = (value or "").split(separator) if separator else shlex.split(value or "")
        return [part for part in parts if part]
    return [str(part) for part in value]
