"""What it takes to run a Python script, in whichever process."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from hpo.runners import environment
from hpo.runners.returned import objective
from hpo.script import Script


def program(script: Script, keywords: Mapping[str, Any]) -> dict[str, Any]:
    """What `bootstrap.Program` needs."""
    return {
        "script": str(script.path.absolute()),
        "form": script.form,
        "snapshot": {str(original): str(copy) for original, copy in script.snapshot.items()},
        "path": environment.words(keywords.get("supp_pythonpath"), os.pathsep),
        "argv": environment.words(keywords.get("extra_script_args")),
        "objective": objective(keywords),
    }
