"""Samplers for which trial n is a function of n and the seed: nothing has to be known of the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hpo.ledger import TrialRecord
from hpo.samplers.base import Proposal, Task, found
from hpo.samplers.units import draw, place
from hpo.space import ParameterSpace, Space, SpaceError
from hpo.told import Told

if TYPE_CHECKING:
    from scipy.stats.qmc import Sobol

#: Dimensions for which there are Sobol directions (Joe & Kuo 2008, as in SciPy).
SOBOL_DIMENSIONS = 21201


class RandomSampler:
    """Independent draws, uniform on each parameter's scale."""

    needs_history = False

    def __init__(self, space: Space, options: Mapping[str, Any], seed: int, warm: Sequence[Told] = ()) -> None:
        del options, warm
        assert isinstance(space, ParameterSpace)
        self._space = space
        self._seed = seed

    def propose(self, history: Sequence[TrialRecord], number: int) -> Proposal:
        """Return the draw of trial `number`, whatever the history."""
        del history
        return draw(self._space, self._seed, number)


class QmcSampler:
    """Point n of a scrambled Sobol sequence (Owen 1998), which fills the space more evenly than chance does."""

    needs_history = False

    def __init__(self, space: Space, options: Mapping[str, Any], seed: int, warm: Sequence[Told] = ()) -> None:
        del options, warm
        assert isinstance(space, ParameterSpace)
        self._space = space
        self._seed = seed
        self._columns = {label: column for column, label in enumerate(space.domains())}

    @cached_property
    def _sobol(self) -> Sobol:
        from scipy.stats.qmc import Sobol

        return Sobol(len(self._columns), scramble=True, rng=self._seed)

    def propose(self, history: Sequence[TrialRecord], number: int) -> Proposal:
        """Return point `number` of the sequence, whatever the history."""
        del history
        self._sobol.reset()
        if number:
            self._sobol.fast_forward(number)
        point = self._sobol.random(1)[0].tolist()
        try:
            return found(self._space, lambda label, domain: place(domain, point[self._columns[label]]))
        except SpaceError:  # a transformation is infinite there
            return draw(self._space, self._seed, number)


def too_many_dimensions(task: Task) -> str | None:
    """Return the objection of `QmcSampler`."""
    dimensions = len(task.space.domains())
    return f"has at most {SOBOL_DIMENSIONS} dimensions, not {dimensions}" if dimensions > SOBOL_DIMENSIONS else None
