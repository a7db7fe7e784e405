"""Who stops hopeless trials early. The rules are Optuna's (`optuna.pruners` 5.0), computed from the reports alone.

Optuna keeps the rungs of ASHA and Hyperband as attributes of its trials, which would have to be rebuilt with a whole
study at every report of every trial. But they follow from the reports, which are in the journals of all workers; only
where one report comes to several rungs at once do they all but follow. The tests compare the decisions with Optuna's.
"""

from __future__ import annotations

import itertools
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
        first = self._passed(dict(before))
        if step < self._step(first):
            return False  # between two rungs, as most reports are: nobody else has to be looked at
        rungs = enumerate(itertools.chain(self._at_each_rung(others), itertools.repeat([])))
        for rung, values in itertools.takewhile(lambda entry: step >= self._step(entry[0]), rungs):
            if rung >= first and (math.isnan(value) or not value <= self._limit([*values, value])):
                return True
        return False

    def _step(self, rung: int) -> int:
        return self.min_steps * int(self.factor ** (self.rate + rung))

    def _limit(self, values: list[float]) -> float:
        """The worst value that goes on from a rung to which trials with these values have come."""
        return sorted(values)[max(0, len(values) // self.factor - 1)]

    def _passed(self, reports: Reports) -> int:
        return sum(1 for _ in self._rungs(reports))

    def _rungs(self, reports: Reports) -> Iterator[float]:
        """Yield a trial's value at each rung that it has come to: its first report there or above."""
        rung = 0
        for step, value in reports.items():
            while step >= self._step(rung):
                if math.isnan(value):
                    return  # it was ended here
                yield value
                rung += 1

    def _at_each_rung(self, trials: Iterable[Told]) -> Iterator[list[float]]:
        """Yield for each rung the values of the trials that have come to it.

        A report may come to several rungs at once. At which of them it ended a trial depended on who was there then;
        taken is the first at which it would end it among those who are there now.
        """
        going = [(list(self._rungs(one.reports)), self._safe(one)) for one in trials]
        for rung in itertools.count():
            going = [(values, safe) for values, safe in going if rung < len(values)]
            if not going:
                return
            here = [values[rung] for values, _ in going]
            yield here
            limit = self._limit(here)
            going = [(values, safe) for values, safe in going if rung < safe or values[rung] <= limit]

    def _safe(self, trial: Told) -> float:
        """Rungs that a trial has surely passed: all, or when it was pruned those before its last report."""
        if trial.kind is not Kind.PRUNED:
            return math.inf
        return self._passed(dict(list(trial.reports.items())[:-1]))


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
