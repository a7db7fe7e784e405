"""What all runners have in common: a trial in a process of its own, below a parent that lets nothing escape.

A member says what to run (`request`) and how to read its result (`outcome`); everything else is here and in
`supervision.py`, the same for all languages.
"""

from __future__ import annotations

import os
import secrets
import signal
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from hpo import processes
from hpo.runners.conclusion import conclude, read_outcome
from hpo.runners.connection import ONE_THREAD, ParentConnection, ParentLostError
from hpo.runners.memory import oom_kills
from hpo.runners.supervision import Ending, Files, Supervision
from hpo.trial import Attempt, Failure, Result, Watch

#: How a parent ends that somebody killed; any other end before it was ready is its interpreter's or a package's fault.
_KILLED = (-signal.SIGKILL, -signal.SIGTERM)


class IsolatedRunner(ABC):
    """Runs each attempt in a process of its own; one parent process serves all attempts of a worker.

    command: the Python that the parent runs in. setup: what `parent.py` must know. environment: variables for all
    attempts, over those of this process.
    """

    def __init__(self, command: Sequence[str], setup: Mapping[str, Any], environment: Mapping[str, str]) -> None:
        self._command = list(command)
        self._setup = {"script": None, "preload": [], "path": [], "argv": [], **setup}
        self._environment = dict(environment)
        self._parent: ParentConnection | None = None
        self._mark = f"runner-{os.getpid()}-{secrets.token_hex(4)}"
        self._notes: tuple[str, ...] = ()

    @abstractmethod
    def request(self, attempt: Attempt, files: Files) -> dict[str, Any]:
        """What to run: `argv` for a command; for Python what `bootstrap.py` needs."""

    def outcome(self, attempt: Attempt, files: Files, ending: Ending) -> dict[str, Any] | None:
        """What the script left, in the form of `bootstrap.py`; None when it did not come so far."""
        del attempt, ending
        return read_outcome(files.outcome)

    def run(self, attempt: Attempt, watch: Watch) -> Result:
        """Run the script once; see `trial.Runner`."""
        files = Files(attempt.scratch)
        try:
            files.clear()
            before = oom_kills()
            ending = self._supervise(attempt, watch, files)
        except OSError as error:
            return Result(failure=Failure("storage", str(error)))
        if isinstance(ending, Failure):
            return Result(failure=ending, notes=self._notes)
        ending.notes[:0] = self._notes
        outcome = self.outcome(attempt, files, ending)
        return conclude(attempt, ending, outcome, starved=oom_kills() > before)

    def close(self) -> None:
        """End the parent, and a trial that it still has; idempotent."""
        if self._parent is not None:
            self._parent.close()
            self._parent = None

    def _supervise(self, attempt: Attempt, watch: Watch, files: Files) -> Ending | Failure:
        """Run one attempt; once more when the packages that the parent imports beforehand kill it."""
        env = self._variables(attempt, files)
        request = {**self.request(attempt, files), "folder": str(attempt.folder), "env": env}
        request["outcome"] = str(files.outcome)
        children = set(processes.children(os.getpid()))
        try:
            parent = self._living_parent(attempt, env["HPO_WORKER"])
        except OSError as error:
            return Failure("interpreter", f"{self._command[0]}: {error.strerror}")
        try:
            return Supervision(parent, attempt, watch).run(request)
        except ParentLostError as lost:
            self._end_orphans(env["HPO_WORKER"], children)
            if parent.ready or lost.status in _KILLED:
                return Ending(lost=f"it ended with status {lost.status}")
            if not self._setup["preload"]:
                return Failure("interpreter", f"{self._command[0]}: {lost.said}")
            self._setup["preload"] = []
            self._notes = (f"no package is imported beforehand, because that ended the interpreter: {lost.said}",)
            return self._supervise(attempt, watch, files)

    def _variables(self, attempt: Attempt, files: Files) -> dict[str, str]:
        threads = {name: str(attempt.nthreads) for name in ONE_THREAD if name.endswith("_THREADS")}
        return {"HPO_WORKER": self._mark, **attempt.env, **files.environment(), **threads}

    def _living_parent(self, attempt: Attempt, worker: str) -> ParentConnection:
        if self._parent is not None and self._parent.process.poll() is not None:
            self.close()
        if self._parent is None:
            processes.adopt_orphans()  # those of a parent that gets lost
            # Equal hash seeds in all processes: else the order of a set of strings differs from worker to worker.
            env = {"PYTHONHASHSEED": "0", **os.environ, **self._environment, **ONE_THREAD, "HPO_WORKER": worker}
            self._parent = ParentConnection(self._command, self._setup, attempt.scratch, env)
        return self._parent

    def _end_orphans(self, worker: str, before: set[int]) -> None:
        """End what a lost parent left: what carries the worker's mark, and what this process was given instead."""
        processes.kill_marked(worker)
        adopted = set(processes.children(os.getpid())) - before
        processes.kill(adopted)
        for pid in adopted:
            os.waitpid(pid, 0)
        self._parent = None
