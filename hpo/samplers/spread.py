"""Some of many trials that lie everywhere, as a design does, however the many crowd at the best."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from hpo.space import ChoiceDomain, Domain
from hpo.told import Told


def spread(told: Sequence[Told], domains: Mapping[str, Domain], sign: int, most: int) -> list[Told]:
    """Return `most` trials with values that are far from each other, in whatever order they are given; or all of fewer.

    Each is the one farthest from the best and from those that were taken before it; the best is not among them. Every
    trial has all of `domains`. sign: 1 when the first objective is minimized, -1 when it is maximized.
    """
    if len(told) <= most:
        return list(told)
    ordered = sorted(told, key=lambda one: json.dumps([one.found, one.values], sort_keys=True))
    places = [[_place(domain, one.found[label]) for label, domain in domains.items()] for one in ordered]
    best = min(range(len(ordered)), key=lambda index: sign * ordered[index].values[0])
    nearest = [_distance(place, places[best]) for place in places]
    taken: list[Told] = []
    while len(taken) < most:
        farthest = max(range(len(ordered)), key=nearest.__getitem__)
        taken.append(ordered[farthest])
        nearest = [min(d, _distance(place, places[farthest])) for d, place in zip(nearest, places, strict=True)]
    return taken


def _place(domain: Domain, value: Any) -> Any:
    """The place of a number in its range, from 0 to 1; a choice is itself, as JSON."""
    if isinstance(domain, ChoiceDomain):
        return json.dumps(value)
    low, high = (math.log(end) if domain.log else end for end in (domain.low, domain.high))
    return ((math.log(value) if domain.log else value) - low) / (high - low) if high > low else 0.0


def _distance(a: Sequence[Any], b: Sequence[Any]) -> float:
    """Squared; two choices are as far apart as the ends of a range."""
    return sum(float(x != y) if isinstance(x, str) else (x - y) ** 2 for x, y in zip(a, b, strict=True))
