"""Who stops hopeless trials early. The rules are Optuna's (`optuna.pruners` 5.0), computed from the reports alone.

Optuna keeps the rungs of ASHA and Hyperband as attributes of its trials, which would have to be rebuilt with a whole
study at every report of every trial. But they follow from the reports, which are in the journals of all workers. The
tests compare each decision with Optuna's own.
"""

from __future__ import annotations

import math
import statistics
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from hpo.told import Kind, Told

Reports: TypeAlias = Mapping[int, float]


class Pruner(Protocol):
    """Pure: the same reports give the same decision."""

    def prunes(self, others: Sequence[Told], number: int, reports: Reports) -> bool:
        """Whether trial `number` is to end after the last of its `reports` (step -> value, steps ascending).

        others: all trials but this one. Values are such that less is better.
        """
        ...


@dataclass(frozen=True, slots=True)
class MedianPruner:
    """Ends a trial whose best report so far is worse than the median of the completed trials at this step.

    startup: completed trials before any is pruned. warmup: first reports of each trial that are not judged. interval:
    every so many reports are judged after them.
    """

    startup: int
    warmup: int
    interval: int

    def prunes(self, others: Sequence[Told], number: int, reports: Reports) -> bool:
        """See `Pruner`."""
        del number
        completed = [one.reports for one in others if one.kind is Kind.COMPLETED]
        judged = len(reports) - self.warmup - 1
        if len(completed) < max(1, self.startup) or judged < 0 or judged % self.interval:
            return False
        step = list(reports)[-1]
        theirs = [known[step] for known in completed if not math.isnan(known.get(step, math.nan))]
        if not theirs:
            return False
        mine = [value for value in reports.values() if not math.isnan(value)]
        return not mine or min(mine) > statistics.median(theirs)


@dataclass(frozen=True, slots=True)
class AshaPruner:
    """Asynchronous successive halving (Li et al. 2020): at each rung the best 1/factor of all trials go on.

    min_steps: the step of the lowest rung; each further one is `factor` times higher. rate: so many rungs are left out.
    """

    min_steps: int
    factor: int
    rate: int = 0

    def prunes(self, others: Iterable[Told], number: int, reports: Reports) -> bool:
        """See `Pruner`."""
        del number
        *before, (step, value) = reports.items()
        rung = sum(1 for _ in self._rungs(dict(before)))
        if step < self._step(rung):
            return False  # between two rungs, as most reports are: nobody else has to be looked at
        passed = [dict(self._rungs(one.reports)) for one in others]
        while step >= self._step(rung):
            rivals = sorted([*(rungs[rung] for rungs in passed if rung in rungs), value])
            if math.isnan(value) or not value <= rivals[max(0, len(rivals) // self.factor - 1)]:
                return True
            rung += 1
        return False

    def _step(self, rung: int) -> int:
        return self.min_steps * int(self.factor ** (self.rate + rung))

    def _rungs(self, reports: Reports) -> Iterator[tuple[int, float]]:
        """Yield (rung, value) for each rung that a trial has come to: its first report there or above."""
        rung = 0
        for step, value in reports.items():
            while step >= self._step(rung):
                if math.isnan(value):
                    return  # it was ended here
                yield rung, value
                rung += 1


class HyperbandPruner:
    """Several ASHA, from the most to the least eager; each trial belongs to one (Li et al. 2018).

    max_steps: the steps of a whole trial.
    """

    def __init__(self, min_steps: int, max_steps: int, factor: int) -> None:
        count = math.floor(math.log(max_steps / min_steps, factor)) + 1
        self._brackets = [AshaPruner(min_steps, factor, rate) for rate in range(count)]
        self._shares = [math.ceil(count * factor**left / (left + 1)) for left in reversed(range(count))]

    def prunes(self, others: Sequence[Told], number: int, reports: Reports) -> bool:
        """See `Pruner`."""
        mine = self._bracket(number)
        rivals = (one for one in others if self._bracket(one.number) == mine)
        return self._brackets[mine].prunes(rivals, number, reports)

    def _bracket(self, number: int) -> int:
        """By a hash of the number, which is the same in every process."""
        place = zlib.crc32(f"hpo_{number}".encode()) % sum(self._shares)
        ends = (sum(self._shares[: bracket + 1]) for bracket in range(len(self._shares)))
        return next(bracket for bracket, end in enumerate(ends) if place < end)


@dataclass(frozen=True, slots=True)
class WilcoxonPruner:
    """Ends a trial that is worse than the best one over the same steps, by the signed-rank test (Wilcoxon 1945).

    For objectives that are means over folds or instances, each reported under its own step. threshold: of the p-value.
    warmup: steps that must be there to compare.
    """

    threshold: float
    warmup: int

    def prunes(self, others: Sequence[Told], number: int, reports: Reports) -> bool:
        """See `Pruner`."""
        del number
        completed = [one for one in others if one.kind is Kind.COMPLETED]
        best = min(completed, key=lambda one: one.values[0], default=None)
        if best is None or not all(map(math.isfinite, [*reports.values(), *best.reports.values()])):
            return False
        worse_by = [value - best.reports[step] for step, value in reports.items() if step in best.reports]
        if len(worse_by) < max(2, self.warmup):
            return False
        if statistics.fmean(reports.values()) <= statistics.fmean(best.reports.values()):
            return False
        from scipy.stats import wilcoxon

        return bool(wilcoxon(worse_by, alternative="greater", zero_method="zsplit").pvalue < self.threshold)


@dataclass(frozen=True, slots=True)
class Row:
    """A pruner: how it is made, and its options with what holds when they are not given (keywords ``pruner_…``)."""

    make: Callable[..., Pruner]
    options: Mapping[str, Any]


#: `max_steps` is found in the input file when it is not given (`hpo.search`).
TABLE: Mapping[str, Row] = {
    "median": Row(MedianPruner, {"startup": 5, "warmup": 1, "interval": 1}),
    "asha": Row(AshaPruner, {"min_steps": 1, "factor": 4}),
    "hyperband": Row(HyperbandPruner, {"min_steps": 1, "max_steps": None, "factor": 3}),
    "wilcoxon": Row(WilcoxonPruner, {"threshold": 0.1, "warmup": 2}),
}


def create(name: str, options: Mapping[str, Any]) -> Pruner:
    """Make the pruner `name` with its recorded options."""
    return TABLE[name].make(**options)
