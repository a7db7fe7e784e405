"""What all runners have in common: a trial in a process of its own, below a parent that lets nothing escape.

A member says what to run (`request`) and how to read its result (`outcome`); everything else is here and in
`supervision.py`, the same for all languages.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from hpo import processes
from hpo.runners.conclusion import conclude, read_outcome
from hpo.runners.connection import ONE_THREAD, ParentConnection, ParentLostError
from hpo.runners.environment import Changes, EnvironmentFault, applied
from hpo.runners.memory import oom_kills
from hpo.runners.supervision import Ending, Files, Supervision
from hpo.script import Script
from hpo.script.faults import Fault
from hpo.trial import Attempt, Failure, Result, Watch

#: How a parent ends that somebody killed; any other end before it was ready is its interpreter's or a package's fault.
_KILLED = (-signal.SIGKILL, -signal.SIGTERM)


@dataclass(slots=True)
class Launch:
    """What a runner finds out once, before its first attempt.

    parent: the command of the Python that the parent runs in. setup: what `parent.py` must know beside its trials.
    changes: to the environment of every trial. parent_changes: to that of the parent, where it is the script's Python.
    """

    parent: Sequence[str] = (sys.executable,)
    setup: dict[str, Any] = field(default_factory=lambda: {"script": None, "preload": []})
    changes: Changes = field(default_factory=dict)
    parent_changes: Changes = field(default_factory=dict)


class IsolatedRunner(ABC):
    """Runs each attempt in a process of its own; one parent process serves all attempts of a worker.

    module: the keyword that names the environment module of the interpreter.
    """

    module: ClassVar[str | None] = None

    def __init__(self, script: Script, keywords: Mapping[str, Any]) -> None:
        self.script = script
        self.keywords = keywords
        self._launched: Launch | None = None
        self._parent: ParentConnection | None = None
        self._mark = f"runner-{os.getpid()}-{secrets.token_hex(4)}"
        self._notes: tuple[str, ...] = ()

    @classmethod
    def missing(cls, keywords: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Say what a script of this language would lack on this machine, and which keyword, if given, is to blame ("").

        keywords: their environment modules can be loaded.
        """
        del keywords
        yield from ()

    @classmethod
    def syntax_fault(cls, path: Path, keywords: Mapping[str, Any]) -> Fault | None:
        """Why the interpreter cannot read a script, which it does not run; None also without an interpreter.

        Raises `EnvironmentFault`.
        """
        del path, keywords
        return None

    @abstractmethod
    def launch(self) -> Launch:
        """Find the interpreter and its environment. Raises `EnvironmentFault`."""

    @abstractmethod
    def request(self, attempt: Attempt, files: Files) -> dict[str, Any]:
        """What to run: `argv` for a command, with variables of its `own`; for Python what `bootstrap.py` needs."""

    def outcome(self, attempt: Attempt, files: Files, ending: Ending) -> dict[str, Any] | None:
        """What the script left where no bootstrap wrote an outcome, in the same form; None: how it ended says all."""
        del attempt, files, ending
        return None

    def run(self, attempt: Attempt, watch: Watch) -> Result:
        """Run the script once; see `trial.Runner`."""
        files = Files(attempt)
        try:
            self._launched = self._launched or self.launch()
            files.clear()
            before = oom_kills()
            ending = self._supervise(attempt, watch, files)
        except EnvironmentFault as fault:
            return Result(failure=Failure("interpreter", str(fault)))
        except OSError as error:
            return Result(failure=Failure("storage", str(error)))
        if isinstance(ending, Failure):
            return Result(failure=ending, notes=self._notes)
        ending.notes[:0] = self._notes
        outcome = read_outcome(files.outcome) or self.outcome(attempt, files, ending)
        return conclude(attempt, ending, outcome, starved=oom_kills() > before)

    def close(self) -> None:
        """End the parent, and a trial that it still has; idempotent."""
        if self._parent is not None:
            self._parent.close()
            self._parent = None

    def _supervise(self, attempt: Attempt, watch: Watch, files: Files) -> Ending | Failure:
        """Run one attempt; once more when the packages that the parent imports beforehand kill it."""
        launch = self._launched
        assert launch is not None
        env = self._variables(attempt, files)
        request = {**self.request(attempt, files), "folder": str(attempt.folder), "outcome": str(files.outcome)}
        request["env"] = {**launch.changes, **request.pop("own", {}), **env}
        files.request.write_text(json.dumps(request))
        children = set(processes.children(os.getpid()))
        parent = self._living_parent(launch, attempt, env["HPO_WORKER"])
        try:
            return Supervision(parent, attempt, watch).run()
        except ParentLostError as lost:
            self._end_orphans(env["HPO_WORKER"], children)
            if parent.ready or lost.status in _KILLED:
                return Ending(lost=f"it ended with status {lost.status}")
            if not launch.setup["preload"]:
                return Failure("interpreter", f"{launch.parent[0]}: {lost.said}")
            launch.setup["preload"] = []
            self._notes = (f"no package is imported beforehand, because that ended the interpreter: {lost.said}",)
            return self._supervise(attempt, watch, files)

    def _variables(self, attempt: Attempt, files: Files) -> dict[str, str]:
        threads = {name: str(attempt.nthreads) for name in ONE_THREAD if name.endswith("_THREADS")}
        own = {
            "HPO_SCRIPT": str(self.script.path),
            "HPO_PARAMS_FILE": str(attempt.folder / "params.json"),
            **files.environment(),
        }
        return {"HPO_WORKER": self._mark, **attempt.env, **own, **threads}

    def _living_parent(self, launch: Launch, attempt: Attempt, worker: str) -> ParentConnection:
        if self._parent is not None and self._parent.process.poll() is not None:
            self.close()
        if self._parent is None:
            processes.adopt_orphans()  # those of a parent that gets lost
            # Equal hash seeds in all processes: else the order of a set of strings differs from worker to worker.
            env = {"PYTHONHASHSEED": "0", **applied(launch.parent_changes), **ONE_THREAD, "HPO_WORKER": worker}
            self._parent = ParentConnection(launch.parent, launch.setup, attempt.scratch, env)
        return self._parent

    def _end_orphans(self, worker: str, before: set[int]) -> None:
        """End what a lost parent left: what carries the worker's mark, and what this process was given instead."""
        self._parent = None
        processes.kill_marked(worker)
        while adopted := set(processes.children(os.getpid())) - before:
            processes.kill(adopted)
            for pid in adopted:
                os.waitpid(pid, 0)
