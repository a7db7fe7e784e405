"""From the unit interval to a domain: what samplers that draw or count, rather than learn, have in common."""

from __future__ import annotations

import contextlib
import math
import random
from typing import Any

from hpo.samplers.base import Proposal, found
from hpo.space import ChoiceDomain, Domain, FloatDomain, IntDomain, ParameterSpace, SpaceError

#: So many points are drawn for one at which no transformation is infinite.
_DRAWS = 1000


def count(domain: Domain) -> int | None:
    """Return the number of values of a domain; None when there is no end of them."""
    match domain:
        case ChoiceDomain(choices):
            return len(choices)
        case IntDomain(low, high, step=step):
            return (high - low) // step + 1
        case FloatDomain(low, high, step=step):
            return None if step is None else int((high - low) / step + 1e-9) + 1


def value_at(domain: Domain, index: int) -> Any:
    """Return value number `index`, from 0, of a domain that has an end of them."""
    if isinstance(domain, ChoiceDomain):
        return domain.choices[index]
    return domain.low + index * (domain.step or 0)


def place(domain: Domain, unit: float) -> Any:
    """Return the value at `unit` of [0, 1): uniform over the values, or over their logarithms."""
    if not isinstance(domain, ChoiceDomain) and domain.log:
        return _place_log(domain, unit)
    number = count(domain)
    if number is not None:
        return value_at(domain, min(int(unit * number), number - 1))
    assert isinstance(domain, FloatDomain)
    return min(domain.low + unit * (domain.high - domain.low), domain.high)


def _place_log(domain: IntDomain | FloatDomain, unit: float) -> float:
    """A whole number has the part of the scale from half a unit below it to half a unit above it."""
    half = 0.5 if isinstance(domain, IntDomain) else 0.0
    low, high = math.log(domain.low - half), math.log(domain.high + half)
    value = math.exp(low + unit * (high - low))
    return min(max(round(value) if half else value, domain.low), domain.high)


def draw(space: ParameterSpace, seed: int, number: int) -> Proposal:
    """Return the independent draw of trial `number`, uniform on each parameter's scale.

    Where a transformation is infinite at it the next one is taken. Raises `SpaceError` when it is nearly everywhere.
    """
    dice = random.Random(f"{seed}/random/{number}")  # noqa: S311
    for _ in range(_DRAWS):
        with contextlib.suppress(SpaceError):
            return found(space, lambda _label, domain: place(domain, dice.random()))
    return found(space, lambda _label, domain: place(domain, dice.random()))
