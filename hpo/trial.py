"""The language of the house: trials, attempts, results, failures. Imports nothing of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol


class State(StrEnum):
    """What a trial is at a moment; derived from journals and claims, never stored."""

    WAITING = "waiting"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    PRUNED = "pruned"

    @property
    def final(self) -> bool:
        """True when nothing will run for this trial any more."""
        return self in (State.COMPLETED, State.FAILED, State.PRUNED)


@dataclass(frozen=True, slots=True)
class FailureKind:
    """One row of the table of failures.

    sentence: what the user reads; `{}` takes the detail (an exit code, a signal's name, ...).
    retried: True for infrastructure (tried again up to `max_attempts`), False for the script's own.
    """

    name: str
    sentence: str
    retried: bool


def _table(*rows: FailureKind) -> dict[str, FailureKind]:
    return {row.name: row for row in rows}


#: Every reason for which an attempt can fail. To a sampler each is shown as the worst value so far with a
#: violated constraint (docs/architecture.md, "Failures").
FAILURES: Mapping[str, FailureKind] = _table(
    FailureKind("exception", "the script raised {}", retried=False),
    FailureKind("import", "the script could not import {}", retried=False),
    FailureKind("no-value", "the script ended without a value{}", retried=False),
    FailureKind("no-objective", "the script returned no {}", retried=False),
    FailureKind("not-finite", "the value is {}, not a finite number", retried=False),
    FailureKind("wrong-type", "the value is {}, not a number", retried=False),
    FailureKind("exit-code", "the script ended with exit code {}", retried=False),
    FailureKind("signal", "the script was killed by signal {}", retried=False),
    FailureKind("cuda-out-of-memory", "the GPU ran out of memory: {}", retried=False),
    FailureKind("timeout", "the trial ran longer than trial_timeout = {}", retried=False),
    FailureKind("interpreter", "the script's interpreter could not be started: {}", retried=False),
    FailureKind("walltime", "needs more than the walltime: {}", retried=False),
    FailureKind("killed", "the trial was killed from outside (SIGKILL){}", retried=True),
    FailureKind("out-of-memory", "the machine ran out of memory and killed the trial{}", retried=True),
    FailureKind("parent-lost", "the process that forks the trials was lost{}", retried=True),
    FailureKind("worker-lost", "the worker was lost{}", retried=True),
    FailureKind("storage", "the trial's folder could not be written: {}", retried=True),
)


#: Why the job of a lost worker was over, by the scheduler's word for it.
LOST: Mapping[str, str] = {
    "NODE_FAIL": "its node failed",
    "BOOT_FAIL": "its node did not boot",
    "TIMEOUT": "its job came to the end of its walltime",
    "DEADLINE": "its job came to its deadline",
    "PREEMPTED": "its job was preempted",
    "REQUEUED": "its job was taken from it and queued again",
    "OUT_OF_MEMORY": "its job ran out of memory",
    "CANCELLED": "its job was cancelled",
    "COMPLETED": "its job has ended",
    "FAILED": "its job failed",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed.

    kind: a key of `FAILURES`. detail: fills the row's sentence.
    where: the last frame in the user's code, ``file:line in function``, or None.
    traceback: the whole traceback as text, for the one time it is shown.
    """

    kind: str
    detail: str = ""
    where: str | None = None
    traceback: str | None = None

    @property
    def retried(self) -> bool:
        """Whether a later attempt may run."""
        return FAILURES[self.kind].retried

    @property
    def sentence(self) -> str:
        """The reason in one line."""
        text = FAILURES[self.kind].sentence.format(self.detail).strip()
        return f"{text} ({self.where})" if self.where else text

    @property
    def signature(self) -> str | None:
        """Equal for two attempts that failed alike: the same exception in the same frame, or the same names returned
        without the objective's; None for other failures.

        A value that is not finite, an exit code or a timeout may depend on the hyperparameters, and so does a training
        that diverges: FloatingPointError.
        """
        if self.kind == "no-objective":
            return f"{self.kind}|{self.detail}"
        if self.kind not in ("exception", "import", "interpreter"):
            return None
        exception = self.detail.split(":", 1)[0]
        return None if exception == "FloatingPointError" else f"{self.kind}|{exception}|{self.where}"


@dataclass(frozen=True, slots=True)
class Result:
    """How an attempt ended: a finite value, or a failure; `paused` when it was told to stop in between.

    value: the objective, a finite float, or None. metrics: everything the script returned beside it, JSON types.
    notes: remarks for the user, such as "ran in a fresh process because ...".
    """

    value: float | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    failure: Failure | None = None
    paused: bool = False
    pruned: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at running a trial: everything that a runner needs to know.

    number: the trial's number from 0. attempt: from 1. id: the trial's id.
    params: the whole dictionary the script sees, JSON types only.
    folder: the attempt's own folder, existing, the script's working directory; `params.json` is in it.
    scratch: an existing private folder outside `folder` for files between runner and script.
    env: variables added to the script's environment. rng_seed: what to seed with.
    nthreads: threads the script may use. timeout: seconds, or None. max_output: bytes kept of its output.
    live: whether the output goes to our own standard output as well, at once.
    resumed: whether a paused attempt goes on in its folder, behind what it has printed there.
    reports: the file for the script's reports where they are to outlive the worker; None: one in `scratch`.
    """

    number: int
    attempt: int
    id: str
    params: Mapping[str, Any]
    folder: Path
    scratch: Path
    env: Mapping[str, str]
    rng_seed: int
    nthreads: int = 1
    timeout: float | None = None
    max_output: int = 100_000_000
    live: bool = False
    resumed: bool = False
    reports: Path | None = None

    @property
    def output(self) -> Path:
        """Where all that the script prints goes."""
        return self.folder / "subprocess_out_and_err.txt"


class Interrupt(StrEnum):
    """Why a running attempt is to be stopped from outside; END: to be paused, and without any more time to save."""

    PAUSE = "pause"
    PRUNE = "prune"
    END = "end"


class Watch(Protocol):
    """The worker's ear while an attempt runs."""

    def poll(self) -> Interrupt | None:
        """Called by the runner several times a second; the answer tells it to stop the script now."""
        ...

    def report(self, step: int, value: float) -> None:
        """Called by the runner for each report of the script, in order."""
        ...


class Runner(Protocol):
    """How a script becomes a number. One per worker; runs one attempt at a time."""

    def run(self, attempt: Attempt, watch: Watch) -> Result:
        """Run the script once. Never raises for anything that the script does.

        On return no process that the script started is alive, and its output is complete.
        """
        ...

    def close(self) -> None:
        """End helper processes; idempotent."""
        ...
