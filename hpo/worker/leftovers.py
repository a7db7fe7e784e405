"""Trials that were begun and are not committed: whose they are, and which of them may be taken over.

Steps 3 and 4 of the protocol in docs/architecture.md.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hpo import liveness
from hpo.disk import replace_link
from hpo.experiment import Experiment
from hpo.journal import Event, FolderJournal
from hpo.ledger import Ledger, TrialRecord, failure_of, loss
from hpo.liveness import Vitality
from hpo.trial import Result
from hpo.worker.attempts import write_result


@dataclass(frozen=True, slots=True)
class Claimed:
    """An attempt that this worker may run, and what is known of the trial's earlier ones."""

    attempt: int
    record: TrialRecord

    @property
    def number(self) -> int:
        return self.record.number


class Leftovers:
    """Trials that were begun and are not committed: whose they are, and which of them may be taken over."""

    def __init__(self, experiment: Experiment, journal: FolderJournal, only: int | None) -> None:
        self._experiment = experiment
        self._journal = journal
        self._only = only
        self._liveness = liveness.Liveness(experiment.workers, kill=True)
        self._max_attempts = int(experiment.keywords["max_attempts"])
        self._open: dict[int, TrialRecord] = {}
        self._ledger = Ledger(frozenset())
        self._reader = experiment.journal()
        #: Whether some owner could not be judged at the last look: look again before giving up.
        self.undecided = False

    def restore(self, events: Iterable[Event]) -> None:
        """Make the claims again that `events` prove and the folder has not: a power cut, or a copy, took them."""
        claimed = set(self._journal.claimed())
        for event in events:
            if event["e"] == "started" and isinstance(event.get("n"), int) and isinstance(event.get("k"), int):
                key = f"{event['n']}.{event['k']}"
                if key not in claimed:
                    self._journal.restore(key, event["w"])

    def look(self) -> int:
        """List what is begun and not committed now; return the lowest number that nobody claimed."""
        experiment = self._experiment
        begun, done = _begun_and_done(self._journal.claimed())
        voided = {number for number, _ in experiment.retries()}
        wanted = (begun - done) | (begun & voided)
        if self._only is not None:
            wanted &= {self._only}
        if self._ledger.only is None or not wanted <= self._ledger.only:
            self._ledger, self._reader = Ledger(wanted), experiment.journal()
        ledger = experiment.refresh(self._ledger, self._reader) if wanted else self._ledger
        self._open = {n: ledger.trials[n] for n in sorted(wanted) if ledger.trial(n).committed is None}
        return next(n for n in range(len(begun) + 1) if n not in begun)

    def tidy(self) -> None:
        """End what dead workers left running, and remove their private files."""
        folder = self._experiment.scratch("")
        for worker in os.listdir(folder):
            if self._liveness.of(worker) is Vitality.DEAD:
                self._liveness.bury(worker)
                shutil.rmtree(folder / worker, ignore_errors=True)

    def add(self, claimed: Claimed, finished: Event, worker: str) -> None:
        """Keep a trial whose attempt this worker gave up, to be tried again."""
        record = claimed.record
        record.owners[claimed.attempt] = worker
        ledger = Ledger()
        ledger.trials[record.number] = record
        ledger.add_events([{**finished, "w": worker}])
        self._open[record.number] = record

    def take(self) -> Claimed | None:
        """Claim the next attempt of a trial whose last one is over; commit what only wants committing."""
        self.undecided = False
        self._liveness.meet(record.owner for record in self._open.values())
        for number in list(self._open):
            record = self._open[number]
            if not self._is_free(record):
                continue
            del self._open[number]
            if not self._settled(record):
                attempt = record.last + 1
                if self._journal.claim(f"{number}.{attempt}") == self._journal.worker and not self._just_done(record):
                    return Claimed(attempt, record)
        return None

    def _just_done(self, record: TrialRecord) -> bool:
        """Whether a worker that was slow, and is none of ours to judge, committed the trial meanwhile."""
        return self._journal.is_claimed(record.done_key)

    def commit(self, record: TrialRecord, attempt: int) -> None:
        """Let `attempt` count, unless another one does already: the first commit wins for ever."""
        winner = self._journal.claim(record.done_key, f".{attempt}").rpartition(".")[2]
        counted = int(winner) if winner.isdigit() else attempt
        if (folder := self._folder(record, counted)) is not None:
            show(self._experiment, self._experiment.space.trial_id(record.number), folder)

    def _folder(self, record: TrialRecord, attempt: int) -> Path | None:
        """The folder in which an attempt ran: a paused one is continued where it was."""
        trial_id = self._experiment.space.trial_id(record.number)
        folders = (self._experiment.attempt_folder(trial_id, k) for k in range(attempt, 0, -1))
        return next((folder for folder in folders if folder.is_dir()), None)

    def _leave_value(self, record: TrialRecord, outcome: Event) -> None:
        """Write the files of a result that its dead owner recorded, and perhaps did not write any more."""
        folder, value = self._folder(record, record.last), outcome.get("value")
        if folder is not None and value is not None and not outcome.get("pruned"):
            with contextlib.suppress(OSError):  # the record counts; the file is for the eye
                write_result(folder, value)

    def _is_free(self, record: TrialRecord) -> bool:
        """Whether the owner of the last attempt gave it up or is dead.

        What a dead owner last wrote is read again, and whether somebody else was faster: then the trial is theirs.
        """
        if _is_given_up(record, self._max_attempts):
            return True
        owner = record.owner
        match self._liveness.of(owner):
            case Vitality.DEAD:
                attempt = record.last
                self._bury(owner, record)
                return record.committed is None and record.last == attempt
            case Vitality.UNKNOWN:
                self.undecided = True
        return False

    def _bury(self, owner: str, record: TrialRecord) -> None:
        """End what a dead owner left, and take in what it, and others, have written since the last look."""
        self._liveness.bury(owner)
        fresh = self._experiment.refresh(self._ledger, self._reader).trial(record.number)
        record.attempts, record.owners, record.committed = fresh.attempts, fresh.owners, fresh.committed

    def _settled(self, record: TrialRecord) -> bool:
        """Commit a trial whose last attempt has all it needs: a result, or one death too many."""
        last = record.attempts.get(record.last)
        if record.last in record.voided or (last is not None and last.paused):
            return False
        outcome = last.outcome() if last else None
        if outcome is not None and not _failed_for_now(record, self._max_attempts):
            self._leave_value(record, outcome)
            self.commit(record, record.last)
            return True
        if outcome is None and record.deaths >= self._max_attempts:
            failure = loss(self._liveness.reason(record.owner), record.deaths)
            about = {"t": time.time(), "n": record.number, "k": record.last}
            self._journal.append([{"e": "finished", **about, **outcome_of(Result(failure=failure))}])
            self.commit(record, record.last)
            return True
        return False


def trials_wait(experiment: Experiment, only: int | None) -> bool:
    """Whether a trial (or the trial `only`) is in nobody's hands, as far as can be told without asking twice.

    Never begun, given up, or of a worker that has ended or is not known to live.
    """
    ledger = experiment.ledger(None if only is None else {only})
    if only is not None:
        ledger.trial(only)
    elif len(ledger.trials) < experiment.budget:
        return True
    uncommitted = [record for record in ledger.trials.values() if record.committed is None]
    attempts = int(experiment.keywords["max_attempts"])
    if any(not record.last or record.owner in ledger.ended or _is_given_up(record, attempts) for record in uncommitted):
        return True
    judge = liveness.Liveness(experiment.workers, kill=False)
    judge.meet(record.owner for record in uncommitted)
    return any(judge.of(record.owner) is not Vitality.ALIVE for record in uncommitted)


def _is_given_up(record: TrialRecord, max_attempts: int) -> bool:
    """Whether the last attempt is over by the word of its own worker, or set aside, and the trial is not."""
    last = record.attempts.get(record.last)
    over = last is not None and (last.paused or _failed_for_now(record, max_attempts))
    return over or record.last in record.voided


def _failed_for_now(record: TrialRecord, max_attempts: int) -> bool:
    """Whether the last attempt ended by infrastructure, with attempts left: its worker did not commit it."""
    outcome = record.attempts[record.last].outcome()
    failure = failure_of(outcome) if outcome else None
    return failure is not None and failure.retried and record.deaths < max_attempts


def _begun_and_done(keys: Sequence[str]) -> tuple[set[int], set[int]]:
    """The numbers that were claimed, and those with a commit, from the names of the claims."""
    begun: set[int] = set()
    done: set[int] = set()
    for key in keys:
        number, _, what = key.partition(".")
        if number.isdigit():
            (done if what.startswith("done") else begun).add(int(number))
    return begun | done, done


def show(experiment: Experiment, trial_id: str, folder: Path) -> None:
    """Let `run/<id>` be a link to an attempt's folder."""
    link, target = experiment.run_folder(trial_id), f".attempts/{folder.name}"
    try:
        os.symlink(target, link)
    except FileExistsError:
        if os.readlink(link) != target:
            replace_link(link, target)


def outcome_of(result: Result) -> dict[str, Any]:
    """A result as the keys of a `finished` event."""
    record: dict[str, Any] = {}
    if result.value is not None:
        record["value"] = result.value
    if result.metrics:
        record["metrics"] = dict(result.metrics)
    if result.pruned:
        record["pruned"] = True
    if (failure := result.failure) is not None:
        record["failure"] = {name: value for name, value in asdict(failure).items() if value}
    return record
