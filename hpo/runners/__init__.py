"""How a model script becomes a number; one runner per worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hpo.runners.inprocess import InProcessRunner
from hpo.runners.python import PythonRunner
from hpo.script import Script
from hpo.trial import Runner

#: The runners by the names of `registry.RUNNERS`.
RUNNERS: Mapping[str, Callable[[Script, Mapping[str, Any]], Runner]] = {"python": PythonRunner}


def create(script: Script, settings: Mapping[str, Any]) -> Runner:
    """Return the runner for a script. settings: the resolved &control keywords."""
    if settings.get("isolation") == "none":
        return InProcessRunner(script, settings)
    return RUNNERS[script.runner](script, settings)
