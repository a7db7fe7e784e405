"""Who proposes: one file and one row of the table for each sampler; Optuna's are rows of `optuna_models.MODELS`.

The keyword table, the plan of a search and the tests read the table. What is heavy is imported by who is asked first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hpo.samplers import by_index, optuna_models
from hpo.samplers.base import Proposal, Row, Sampler, Task
from hpo.samplers.grid import GridSampler
from hpo.space import Space
from hpo.told import Told

TABLE: Mapping[str, Row] = {
    "grid": Row(GridSampler, objection=lambda _task: "is for workflow = grid"),
    "random": Row(by_index.RandomSampler),
    "qmc": Row(by_index.QmcSampler, objection=by_index.too_many_dimensions),
    **{name: optuna_models.row(name) for name in optuna_models.MODELS},
}


def create(name: str, space: Space, options: Mapping[str, Any], seed: int, warm: Sequence[Told] = ()) -> Sampler:
    """Make the sampler `name` for `space`, with its recorded options and the experiment's seed."""
    return TABLE[name].make(space, options, seed, warm)


__all__ = ["TABLE", "Proposal", "Row", "Sampler", "Task", "create"]
