"""Python scripts, in a process of their own (below a warm parent) or in the worker itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hpo.runners import environment
from hpo.runners.base import IsolatedRunner, Launch
from hpo.runners.program import program
from hpo.runners.supervision import Files
from hpo.script import Script
from hpo.trial import Attempt

#: torch's optimisers import this when the first one is made, which takes longer than importing torch itself.
_DYNAMO = "torch._dynamo"


class PythonRunner(IsolatedRunner):
    """Forks each trial from a parent that has imported what the script imports; see `parent.py`."""

    module = "exec_python_module"

    @classmethod
    def missing(cls, keywords: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """The interpreter."""
        try:
            environment.python(keywords)
        except environment.EnvironmentFault as fault:
            yield str(fault), "python_bin_path" if keywords["python_bin_path"] else "exec_python_module"

    def launch(self) -> Launch:
        """The parent runs in the script's own interpreter, which need not have our package."""
        interpreter, changes = environment.python(self.keywords)
        setup = {**program(self.script, self.keywords), "preload": preload(self.script)}
        return Launch([interpreter], setup, changes, parent_changes=changes)

    def request(self, attempt: Attempt, files: Files) -> dict[str, Any]:
        """What `bootstrap.py` needs for one trial."""
        del files
        return {"params": dict(attempt.params), "seed": attempt.rng_seed, "nthreads": attempt.nthreads}


def preload(script: Script) -> list[str]:
    """The packages that the parent imports beforehand."""
    names = list(script.preload)
    with_torch = any(name.partition(".")[0] == "torch" for name in names)
    if with_torch and any(b"optim" in copy.read_bytes() for copy in script.snapshot.values()):
        names.append(_DYNAMO)
    return names
