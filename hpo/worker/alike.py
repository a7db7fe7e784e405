"""Stops an experiment whose trials all fail alike: with the script as it is, more of them would too."""

from __future__ import annotations

from hpo.experiment import Experiment
from hpo.journal import Event
from hpo.ledger import failure_of, outcome_state
from hpo.trial import Failure, State


class AlikeFailures:
    """Stops an experiment whose first trials all fail alike (`Failure.signature`).

    Only what finishes while this worker lives is counted, so that `resume` gets a new chance.
    """

    def __init__(self, experiment: Experiment, limit: int) -> None:
        self._experiment = experiment
        self._limit = limit
        self._reader = experiment.journal()
        self._signatures: list[str | None] = []
        self._hopeless = False

    def begin(self) -> list[Event]:
        """Read, and return, what was recorded before this worker: a success in it is hope."""
        events = self._reader.read_new()
        self._hopeless = self._limit > 0 and not any(map(_succeeded, events))
        return events

    def note(self, failure: Failure | None) -> None:
        """Called after each attempt of this worker, with its failure or None."""
        if failure is None:
            self._hopeless = False
        if not self._hopeless:
            return
        for event in self._reader.read_new():
            self._hopeless = self._hopeless and not _succeeded(event)
            if event["e"] == "finished" and (seen := failure_of(event)) is not None and not seen.retried:
                self._signatures.append(seen.signature)
        first = self._signatures[: self._limit]
        if self._hopeless and len(first) == self._limit and None not in first and len(set(first)) == 1:
            assert failure is not None
            self._experiment.request_stop(f"the first {self._limit} trials all failed alike", kill=False)


def _succeeded(event: Event) -> bool:
    return event["e"] == "finished" and outcome_state(event) is not State.FAILED
