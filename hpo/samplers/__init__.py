"""Who proposes: one file and one row of the table for each sampler."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hpo.samplers.base import Proposal, Sampler
from hpo.samplers.grid import GridSampler
from hpo.space import Space

TABLE: Mapping[str, Callable[[Space, Mapping[str, Any], int], Sampler]] = {
    "grid": GridSampler,
}


def create(name: str, space: Space, options: Mapping[str, Any], seed: int) -> Sampler:
    """Make the sampler `name` for `space`, with its recorded options and the experiment's seed."""
    return TABLE[name](space, options, seed)


__all__ = ["TABLE", "Proposal", "Sampler", "create"]
