"""What the journals and claims together say of every trial. Derived, never stored: anybody may rebuild it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from hpo.journal.base import Event
from hpo.trial import FAILURES, LOST, Failure, State


@dataclass(slots=True)
class AttemptRecord:
    """One attempt as its worker recorded it. Times are Unix times of the worker's host, for display."""

    attempt: int
    worker: str = ""
    started: float | None = None
    params: dict[str, Any] | None = None
    system_attrs: dict[str, Any] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    reports: list[tuple[int, float]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    paused: bool = False
    #: worker -> its `finished` event. More than one only when a successor recorded the death of the owner.
    finished: dict[str, Event] = field(default_factory=dict)

    def outcome(self, committer: str = "") -> Event | None:
        """The `finished` event: of `committer` if it wrote one, else whoever's there is."""
        if committer in self.finished:
            return self.finished[committer]
        return next(iter(self.finished.values()), None)


@dataclass(slots=True)
class TrialRecord:
    """Everything known of one trial; `committed` is the attempt that counts, with who committed it."""

    number: int
    attempts: dict[int, AttemptRecord] = field(default_factory=dict)
    owners: dict[int, str] = field(default_factory=dict)
    committed: tuple[int, str] | None = None
    #: Attempts whose commit was set aside by `resume --retry-failed`.
    voided: set[int] = field(default_factory=set)

    @property
    def last(self) -> int:
        """The highest attempt that was claimed or recorded; 0 when there is none."""
        return max(max(self.owners, default=0), max(self.attempts, default=0))

    @property
    def owner(self) -> str:
        """Who has the last attempt, by its claim, else by its record; empty when neither can be read."""
        record = self.attempts.get(self.last)
        return self.owners.get(self.last) or (record.worker if record else "")

    @property
    def done_key(self) -> str:
        """The claim that the next commit takes."""
        return done_key(self.number, self.voided)

    @property
    def outcome(self) -> Event | None:
        """The counted `finished` event; None when nothing was committed, or its record was lost."""
        if self.committed is None:
            return None
        attempt, committer = self.committed
        record = self.attempts.get(attempt)
        return record.outcome(committer) if record else None

    @property
    def params(self) -> dict[str, Any] | None:
        """The hyperparameters, from the first attempt that recorded them."""
        return next((a.params for _, a in sorted(self.attempts.items()) if a.params is not None), None)

    @property
    def deaths(self) -> int:
        """Attempts since the last setting aside that were not paused: lost ones, when the last one is over."""
        since = max(self.voided, default=0)
        return sum(1 for k in range(since + 1, self.last + 1) if self._died(k))

    def _died(self, attempt: int) -> bool:
        record = self.attempts.get(attempt)
        return record is None or not record.paused

    def state(self) -> State:
        """The state as far as records tell; whether a running trial's worker still lives is for `Liveness`."""
        if self.committed is not None:
            outcome = self.outcome
            return State.FAILED if outcome is None else outcome_state(outcome)
        if not self.last or self.last in self.voided:
            return State.WAITING
        record = self.attempts.get(self.last)
        return State.PAUSED if record is not None and record.paused else State.RUNNING


def outcome_state(outcome: Event) -> State:
    """The final state that a `finished` event means."""
    if outcome.get("failure") is not None:
        return State.FAILED
    return State.PRUNED if outcome.get("pruned") else State.COMPLETED


def failure_of(outcome: Event) -> Failure | None:
    """The failure in a `finished` event, if it is one; an unknown kind (a newer version's) is kept as text."""
    record = outcome.get("failure")
    if not isinstance(record, Mapping):
        return None
    kind = str(record.get("kind"))
    if kind not in FAILURES:
        return Failure("exception", f"{kind}: {record.get('detail', '')}")
    return Failure(kind, str(record.get("detail", "")), record.get("where"), record.get("traceback"))


def loss(reason: str, deaths: int) -> Failure:
    """The failure of a trial that lost its worker too often. reason: of the last time, as the scheduler calls it."""
    match reason:
        case "OUT_OF_MEMORY":
            return Failure("out-of-memory", f" {deaths} times: its job asked for too little")
        case "TIMEOUT":
            return Failure("walltime", f"{deaths} jobs came to their end and left no checkpoint")
    return Failure("worker-lost", f" {deaths} times{lost_because(reason)}")


def lost_because(reason: str) -> str:
    """The end of a sentence about a lost worker: ": its node failed"."""
    return f": {LOST.get(reason, f'its job is {reason}')}" if reason else ""


def done_key(number: int, voided: Set[int] | None = None) -> str:
    """The claim of a commit: `17.done`, or `17.done.2` when attempt 2's commit was the last that was set aside."""
    return f"{number}.done.{max(voided)}" if voided else f"{number}.done"


class Ledger:
    """The merged view: feed it the events and the claims, read the trials.

    only: the numbers of the trials to look at; None for all.
    """

    def __init__(self, only: Set[int] | None = None) -> None:
        self.only = only
        self.trials: dict[int, TrialRecord] = {}
        #: Workers that took their last trial -> why.
        self.ended: dict[str, str] = {}
        self.workers: set[str] = set()

    def trial(self, number: int) -> TrialRecord:
        """The record of trial `number`, made when it is not there yet."""
        record = self.trials.get(number)
        if record is None:
            record = self.trials[number] = TrialRecord(number)
        return record

    def add_events(self, events: Iterable[Event]) -> None:
        """Merge events, in any order between workers."""
        for event in events:
            self.workers.add(event["w"])
            if event["e"] == "ended":
                self.ended[event["w"]] = str(event.get("reason", ""))
            elif self._wanted(event.get("n")) and isinstance(event.get("k"), int):
                self._add(event)

    def _wanted(self, number: object) -> bool:
        return isinstance(number, int) and (self.only is None or number in self.only)

    def add_claims(self, claims: Mapping[str, str]) -> None:
        """Take over the claims, all of them: key -> owner (`17.2`, `17.done`, `17.done.2`)."""
        commits: dict[int, str] = {}
        later: dict[tuple[int, int], str] = {}
        for key, owner in claims.items():
            number, _, what = key.partition(".")
            if not number.isdigit():
                continue
            if what == "done":
                commits[int(number)] = owner
            elif what.isdigit():
                self.trial(int(number)).owners[int(what)] = owner
            elif (behind := what.removeprefix("done.")).isdigit():
                later[int(number), int(behind)] = owner
        for trial, owner in commits.items():
            self._commit(self.trial(trial), owner, later)

    def add_voided(self, number: int, attempt: int) -> None:
        """Set aside the commit of an attempt, so that the trial runs again (call before `add_claims`)."""
        if self._wanted(number):
            self.trial(number).voided.add(attempt)

    def _commit(self, record: TrialRecord, owner: str | None, later: Mapping[tuple[int, int], str]) -> None:
        """Follow the commits: the first one, then those behind attempts that were set aside."""
        record.committed = None
        while owner is not None:
            committer, _, text = owner.rpartition(".")
            # an owner that cannot be read: it is done, by we do not know whom
            attempt = int(text) if text.isdigit() else record.last
            if attempt not in record.voided:
                record.committed = (attempt, committer)
                return
            owner = later.get((record.number, attempt))

    def _add(self, event: Event) -> None:
        trial = self.trial(event["n"])
        record = trial.attempts.get(event["k"])
        if record is None:
            record = trial.attempts[event["k"]] = AttemptRecord(event["k"])
        match event["e"]:
            case "started":
                record.worker = event["w"]
                record.started = event.get("t")
                record.params = event.get("params")
                record.system_attrs = event.get("system_attrs") or {}
                record.seen = event.get("seen") or {}
            case "finished":
                record.finished.setdefault(event["w"], event)
            case "reported":
                record.reports.append((event["step"], event["value"]))
            case "paused":
                record.paused = True
            case "note":
                record.notes.append(str(event.get("text", "")))
