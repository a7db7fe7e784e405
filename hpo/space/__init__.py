"""The space of hyperparameters: the one target of all forms in which users write it.

A `Space` is a `ParameterSpace` (ranges and choices) or `Rows` (points listed one by one). Imports nothing of ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from hpo.space.parameters import (
    Categorical,
    ChoiceDomain,
    Constant,
    Domain,
    FloatDomain,
    IntDomain,
    Integer,
    Parameter,
    Real,
    SpaceError,
    Vector,
)
from hpo.space.product import ParameterSpace
from hpo.space.rows import Rows, default_id

Space: TypeAlias = ParameterSpace | Rows

__all__ = [
    "Categorical",
    "ChoiceDomain",
    "Constant",
    "Domain",
    "FloatDomain",
    "IntDomain",
    "Integer",
    "Parameter",
    "ParameterSpace",
    "Real",
    "Rows",
    "Space",
    "SpaceError",
    "Vector",
    "default_id",
    "from_json",
]


def from_json(tree: Mapping[str, Any], rows: bytes | None = None) -> Space:
    """Return the space that `to_json` wrote; `rows` is the `data` of a `Rows`, which is kept beside the JSON."""
    if tree["kind"] == "rows":
        if rows is None:
            raise ValueError("the rows of the space are missing")
        return Rows.from_json(tree, rows)
    return ParameterSpace.from_json(tree)
