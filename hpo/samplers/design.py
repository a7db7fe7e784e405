"""The initial design: Latin hypercubes (McKay, Beckman & Conover 1979) in which each discrete value occurs."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from hpo.samplers.base import Proposal, found
from hpo.samplers.units import count, draw, place, value_at
from hpo.space import Domain, FloatDomain, ParameterSpace, SpaceError
from hpo.told import FOUND

#: Distances that are compared to choose the best of some random hypercubes.
_DISTANCES = 50_000
_MOST_TRIES = 50

#: One point: label -> place in the unit interval.
_Point = dict[str, float]


class Design:
    """Block after block of `size` points; each block fills the space. Point n is a function of n and the seed.

    Each range is cut into `size` parts, and each part has one point. So a discrete parameter with at most `size` values
    has every value in every block, as often as any other. A conditional parameter's range is cut into as many parts as
    there are points in which it is active.
    """

    def __init__(self, space: ParameterSpace, size: int, seed: int) -> None:
        self._space = space
        self._size = max(1, size)
        self._seed = seed
        self._domains = space.domains()
        self._block = lru_cache(maxsize=2)(self._make_block)

    def propose(self, number: int) -> Proposal:
        """Return point `number`, from 0; where a transformation is infinite at it, a draw in its place."""
        block, row = divmod(number, self._size)
        try:
            return self._proposal(self._block(block)[row])
        except SpaceError:
            return draw(self._space, self._seed, number)

    def _proposal(self, point: Mapping[str, float]) -> Proposal:
        return found(self._space, lambda label, domain: self._value(domain, point[label]))

    def _value(self, domain: Domain, unit: float) -> Any:
        number = count(domain)
        return value_at(domain, int(unit * number)) if number and number <= self._size else place(domain, unit)

    def _make_block(self, block: int) -> list[_Point]:
        dice = random.Random(f"{self._seed}/design/{block}")  # noqa: S311
        tries = min(_MOST_TRIES, 1 + _DISTANCES // (self._size**2 * max(1, len(self._domains))))
        cubes = (self._hypercube(dice) for _ in range(tries))
        points = max(cubes, key=_least_distance) if tries > 1 else next(cubes)
        for label in self._conditional_labels():
            active = [point for point in points if self._has(point, label)]
            self._spread(active, label, [point[label] for point in active], dice)
        return points

    def _has(self, point: _Point, label: str) -> bool:
        try:
            return label in self._proposal(point).system_attrs[FOUND]
        except SpaceError:  # another is drawn in its place
            return False

    def _hypercube(self, dice: random.Random) -> list[_Point]:
        points: list[_Point] = [{} for _ in range(self._size)]
        for label in self._domains:
            self._spread(points, label, [dice.random() for _ in points], dice)
        return points

    def _spread(self, points: Sequence[_Point], label: str, order: Sequence[float], dice: random.Random) -> None:
        """Give each point one of equal parts of the range, in the given order; a real number lies anywhere in it."""
        anywhere = isinstance(self._domains[label], FloatDomain)
        ranked = sorted(range(len(points)), key=order.__getitem__)
        for rank, index in enumerate(ranked):
            points[index][label] = (rank + (dice.random() if anywhere else 0.5)) / len(points)

    def _conditional_labels(self) -> Iterable[str]:
        conditional = {label for p in self._space.parameters if p.condition is not None for label in p.domains}
        return (label for label in self._domains if label in conditional)


def _least_distance(points: Sequence[_Point]) -> float:
    """The smallest squared distance of two points: the larger, the better they fill the space."""
    rows = [list(point.values()) for point in points]
    pairs = ((a, b) for i, a in enumerate(rows) for b in rows[:i])
    return min((sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) for a, b in pairs), default=0.0)
