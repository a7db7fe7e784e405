"""How a model script becomes a number; one runner per worker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hpo.runners.base import IsolatedRunner
from hpo.runners.bash import BashRunner
from hpo.runners.command import CommandRunner
from hpo.runners.inprocess import InProcessRunner
from hpo.runners.python import PythonRunner
from hpo.runners.rscript import RScriptRunner
from hpo.script import Script
from hpo.trial import Runner

#: The runners by the names of `registry.RUNNERS`.
TABLE: Mapping[str, type[IsolatedRunner]] = {
    "python": PythonRunner,
    "rscript": RScriptRunner,
    "bash": BashRunner,
    "command": CommandRunner,
}


def create(script: Script, keywords: Mapping[str, Any]) -> Runner:
    """Return the runner for a script. keywords: the resolved &control keywords.

    `isolation = none` is for Python, in the interpreter that runs us; other programs are processes anyhow.
    """
    if keywords.get("isolation") == "none" and script.runner == "python":
        return InProcessRunner(script, keywords)
    return TABLE[script.runner](script, keywords)
