"""A point that no trial has had, in the place of one that has been tried."""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from itertools import chain, islice
from typing import Any

from hpo.samplers.base import Proposal, found
from hpo.samplers.units import count, place, value_at
from hpo.space import Domain, ParameterSpace, SpaceError
from hpo.told import FOUND

#: So many points are drawn to find one that no trial has had.
_DRAWS = 1000
#: So many are listed then: chance hardly finds the last ones.
_LISTED = 100_000


def key(params: Mapping[str, Any]) -> str:
    """Return a text that is the same for the same hyperparameters only."""
    return json.dumps(params, sort_keys=True)


def untried(space: ParameterSpace, tried: Proposal, had: Collection[str], dice: random.Random) -> Proposal:
    """Return a point whose `key` is not in `had`, those near `tried` first; `tried` where none is found.

    What the sampler keeps with `tried` goes with the new point.
    """
    for other in chain(_drawn(space, tried.system_attrs[FOUND], dice), islice(_listed(space, dice), _LISTED)):
        if key(other.params) not in had:
            return replace(tried, params=other.params, system_attrs={**tried.system_attrs, **other.system_attrs})
    return tried


def _drawn(space: ParameterSpace, near: Mapping[str, Any], dice: random.Random) -> Iterator[Proposal]:
    for draw in range(_DRAWS):

        def change(label: str, domain: Domain, share: float = (draw + 1) / _DRAWS) -> Any:
            drawn = label not in near or dice.random() < share
            return place(domain, dice.random()) if drawn else near[label]

        yield from _found(space, change)


def _found(space: ParameterSpace, ask: Callable[[str, Domain], Any]) -> Iterator[Proposal]:
    """The point, if it is one: a transformation may be infinite at an edge."""
    with contextlib.suppress(SpaceError):
        yield found(space, ask)


def _listed(space: ParameterSpace, dice: random.Random) -> Iterator[Proposal]:
    """All points, one after the other: the last domain asked for changes fastest, each from a place of its own."""
    first = {label: dice.randrange(count(domain) or 1) for label, domain in space.domains().items()}
    steps: list[int] = []
    while True:
        numbers: list[int] = []

        def step(label: str, domain: Domain, numbers: list[int] = numbers) -> Any:
            number = count(domain)
            if number is None:  # one value, with no step to the next
                return place(domain, 0.0)
            if len(numbers) == len(steps):
                steps.append(0)
            numbers.append(number)
            return value_at(domain, (first[label] + steps[len(numbers) - 1]) % number)

        yield from _found(space, step)
        del steps[len(numbers) :]  # where there is no such point nothing behind it was asked for
        while steps and steps[-1] + 1 == numbers[len(steps) - 1]:
            steps.pop()
        if not steps:
            return
        steps[-1] += 1
