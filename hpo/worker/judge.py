"""Judges a running trial by its reports, with the experiment's pruner and the reports of all other trials."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hpo import pruners
from hpo.ledger import AttemptRecord
from hpo.told import Told, add_report, reports, tell
from hpo.worker.history import History

#: Seconds for which what was read of the other trials is good enough.
_FRESH = 1.0


class Judge:
    """One per attempt. Every report is judged, in order, whenever it is read: what the script did meanwhile is without
    effect on the decision, so that one worker's search does not depend on timing.

    pruner: as recorded. sign: -1 when more is better. number: of the trial. attempts: its earlier ones.
    """

    def __init__(
        self, pruner: Mapping[str, Any], sign: int, history: History, number: int, attempts: Mapping[int, AttemptRecord]
    ) -> None:
        self._pruner = pruners.create(pruner["name"], pruner["options"])
        self._sign = sign
        self._history = history
        self._number = number
        self._reports = {step: sign * value for step, value in reports(attempts).items()}
        self._others = self._read()
        #: Whether the trial is to end.
        self.pruned = False

    @property
    def value(self) -> float | None:
        """The last report."""
        return self._sign * list(self._reports.values())[-1] if self._reports else None

    def hear(self, step: int, value: float) -> None:
        """Judge the next report."""
        add_report(self._reports, step, self._sign * value)
        if time.monotonic() - self._when > _FRESH:
            self._others = self._read()
        self.pruned = self._pruner.prunes(self._others, self._number, self._reports)

    def _read(self) -> Sequence[Told]:
        """What is known of the other trials, such that less is better."""
        self._when = time.monotonic()
        told = tell(self._history.read(), ("",))
        return [self._minimized(one) for one in told if one.number != self._number]

    def _minimized(self, one: Told) -> Told:
        if self._sign > 0:
            return one
        negated = {step: -value for step, value in one.reports.items()}
        return replace(one, values=tuple(-value for value in one.values), reports=negated)
