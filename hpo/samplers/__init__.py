"""Who proposes: one file or more and one row of the table for each sampler."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hpo.samplers.base import Proposal, Sampler
from hpo.samplers.by_index import QmcSampler, RandomSampler
from hpo.samplers.grid import GridSampler
from hpo.space import Space
from hpo.told import Told

#: space, recorded options, seed, trials of earlier experiments -> sampler.
Maker = Callable[[Space, Mapping[str, Any], int, Sequence[Told]], Sampler]


def _optuna(space: Space, options: Mapping[str, Any], seed: int, warm: Sequence[Told]) -> Sampler:
    from hpo.samplers.optuna_sampler import OptunaSampler  # imports Optuna: only who needs it pays

    return OptunaSampler(space, options, seed, warm)


TABLE: Mapping[str, Maker] = {
    "grid": lambda space, options, seed, _warm: GridSampler(space, options, seed),
    "random": lambda space, options, seed, _warm: RandomSampler(space, options, seed),
    "qmc": lambda space, options, seed, _warm: QmcSampler(space, options, seed),
    "tpe": _optuna,
    "gp": _optuna,
    "cmaes": _optuna,
    "nsga2": _optuna,
}

#: Those that learn from the trials before.
LEARNING = ("tpe", "gp", "cmaes", "nsga2")


def create(name: str, space: Space, options: Mapping[str, Any], seed: int, warm: Sequence[Told] = ()) -> Sampler:
    """Make the sampler `name` for `space`, with its recorded options and the experiment's seed."""
    return TABLE[name](space, options, seed, warm)


__all__ = ["LEARNING", "TABLE", "Proposal", "Sampler", "create"]
