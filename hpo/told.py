"""What samplers and pruners are told of the other trials: read from what their workers recorded, and from nothing else.

Claims are left out on purpose: what the journals say up to recorded offsets is all that a proposal depends on, so that
it can be repeated.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from hpo.journal.base import Event
from hpo.ledger import AttemptRecord, TrialRecord, outcome_state
from hpo.space.parameters import is_number
from hpo.trial import State

#: The key of a trial's system attributes with what was found in the domains of the space: label -> value.
FOUND = "found"
#: So many times the typical size of the values (at least 1), a value tells of divergence and of nothing else. Networks
#: that diverged return finite values of 1e11 to 1e16 where others return 100.
_DIVERGED = 1e6
#: So many times farther from the median than the best, the worst value says that values span orders of magnitude.
_SKEWED = 10


class Kind(Enum):
    """How far a trial is, to a sampler."""

    COMPLETED = "completed"
    PRUNED = "pruned"
    FAILED = "failed"
    RUNNING = "running"


@dataclass(frozen=True, slots=True)
class Told:
    """One trial. found: what was proposed in each active domain. values: one for each objective, when completed.

    reports: step -> value, steps ascending. attrs: what the sampler wanted to find again.
    """

    number: int
    kind: Kind
    found: Mapping[str, Any]
    values: tuple[float, ...] = ()
    reports: Mapping[int, float] = field(default_factory=dict)
    attrs: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return a completed trial as JSON."""
        return {"number": self.number, "found": dict(self.found), "values": list(self.values)}

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> Told:
        """Return what `to_json` wrote."""
        return cls(tree["number"], Kind.COMPLETED, tree["found"], tuple(tree["values"]))


def tell(history: Iterable[TrialRecord], objectives: Sequence[str]) -> list[Told]:
    """Return what is told of a history, by number. Trials that were claimed and not yet proposed are not in it."""
    told = (_tell(record, objectives) for record in history)
    return sorted((one for one in told if one is not None), key=lambda one: one.number)


def _tell(record: TrialRecord, objectives: Sequence[str]) -> Told | None:
    proposed = next((a for _, a in sorted(record.attempts.items()) if a.params is not None), None)
    if proposed is None:
        return None
    attrs = {key: value for key, value in proposed.system_attrs.items() if key != FOUND}
    found = proposed.system_attrs.get(FOUND, {})
    running = Told(record.number, Kind.RUNNING, found, (), reports(record.attempts), attrs)
    outcome = _outcome(record)
    if outcome is None:
        return running
    state = outcome_state(outcome)
    if state is State.PRUNED:
        return replace(running, kind=Kind.PRUNED)
    values = values_of(outcome, objectives) if state is State.COMPLETED else None
    return replace(running, kind=Kind.COMPLETED if values else Kind.FAILED, values=values or ())


def _outcome(record: TrialRecord) -> Event | None:
    """The last attempt that came to a value counts; else the very last attempt, which may still run."""
    latest = max(record.attempts)
    for k in sorted(record.attempts, reverse=True):
        outcome = record.attempts[k].outcome()
        if outcome is not None and (k == latest or outcome_state(outcome) is not State.FAILED):
            return outcome
    return None


def values_of(outcome: Event, objectives: Sequence[str]) -> tuple[float, ...] | None:
    """Return the objectives of a `finished` event: its value is the first, the others are among its metrics."""
    metrics = outcome.get("metrics") or {}
    values = (outcome.get("value"), *(metrics.get(name) for name in objectives[1:]))
    return None if any(not is_number(value) for value in values) else tuple(map(float, values))  # type: ignore[arg-type]


def reports(attempts: Mapping[int, AttemptRecord]) -> dict[int, float]:
    """Return step -> value over all attempts, steps ascending: who reports a step again has gone back to it."""
    merged: dict[int, float] = {}
    for _, attempt in sorted(attempts.items()):
        for step, value in attempt.reports:
            add_report(merged, step, value)
    return merged


def add_report(known: dict[int, float], step: int, value: float) -> None:
    """Add a report to those of its trial; reports of this step and later ones are from a training that was lost."""
    if known and step <= next(reversed(known)):
        for later in [s for s in known if s >= step]:
            del known[later]
    known[step] = value


def without_diverged(told: Sequence[Told], signs: Sequence[int]) -> list[Told]:
    """Return the trials with those marked failed whose value only says that the training diverged.

    signs: for each objective 1 when it is minimized, -1 when it is maximized.
    """
    limits = [_limit([sign * one.values[i] for one in told if one.values]) for i, sign in enumerate(signs)]

    def diverged(one: Told) -> bool:
        return any(s * v > limit for s, v, limit in zip(signs, one.values, limits, strict=False))

    return [replace(one, kind=Kind.FAILED, values=()) if diverged(one) else one for one in told]


def _limit(values: Sequence[float]) -> float:
    """What is above has diverged. The lower quartile is the typical size: also when half of all trials diverge."""
    if len(values) < 2:
        return math.inf
    return _DIVERGED * max(1.0, abs(statistics.quantiles(values, n=4, method="inclusive")[0]))


def softened(told: Sequence[Told], signs: Sequence[int], judged: Sequence[Told]) -> list[Told]:
    """Return the trials with values that are worse than the median brought nearer to it by their logarithm, if need be.

    A Gaussian process fits all values alike. Where few are a thousand times the others it would see only these. Whether
    they are is told by `judged`, trials that lie everywhere, such as a design: others crowd at the best.
    """
    pairs = zip(_columns(told, signs), _columns(judged, signs), strict=True)
    middles = [_middle(column) if _is_skewed(few) else (0.0, 0.0) for column, few in pairs]

    def soften(one: Told) -> Told:
        pairs = zip(one.values, signs, middles, strict=False)
        return replace(one, values=tuple(sign * _soft(sign * value, *middle) for value, sign, middle in pairs))

    return [soften(one) if one.values else one for one in told]


def _columns(told: Sequence[Told], signs: Sequence[int]) -> list[list[float]]:
    """The values of each objective, less being better."""
    return [[sign * one.values[i] for one in told if one.values] for i, sign in enumerate(signs)]


def _is_skewed(values: Sequence[float]) -> bool:
    """Whether the worst is much farther from the median than the best, which stays so in any unit."""
    if not values:
        return False
    median, scale = _middle(values)
    return max(values) - median > _SKEWED * scale


def _middle(values: Sequence[float]) -> tuple[float, float]:
    """The median, and how much better the best is."""
    median = statistics.median(values)
    return median, median - min(values)


def _soft(value: float, median: float, scale: float) -> float:
    return median + scale * math.log1p((value - median) / scale) if scale > 0 and value > median else value


def worst(told: Sequence[Told], signs: Sequence[int]) -> tuple[float, ...]:
    """Return the worst value so far of each objective: what a failed trial is shown with. Without any, 0."""
    return tuple(
        sign * max((sign * one.values[i] for one in told if one.values), default=0.0) for i, sign in enumerate(signs)
    )
