"""Every point of a finite space, once: trial n is a function of n."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hpo.ledger import TrialRecord
from hpo.samplers.base import Proposal
from hpo.space import Space
from hpo.told import Told


class GridSampler:
    """Trial n takes grid point n; nothing has to be remembered, so nothing can be lost or repeated."""

    needs_history = False

    def __init__(self, space: Space, options: Mapping[str, Any], seed: int, warm: Sequence[Told] = ()) -> None:
        del options, seed, warm  # a grid has no choices to make
        self._space = space

    def propose(self, history: Sequence[TrialRecord], number: int) -> Proposal:
        """Return grid point `number`, whatever the history."""
        del history
        return Proposal(self._space.point(number))
