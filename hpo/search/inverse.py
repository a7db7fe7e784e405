"""From hyperparameters back to what a sampler would have found: how trials of elsewhere become trials of this space."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from hpo.samplers.base import found
from hpo.samplers.units import count, value_at
from hpo.space import (
    ChoiceDomain,
    Domain,
    FloatDomain,
    IntDomain,
    Integer,
    Parameter,
    ParameterSpace,
    Real,
    SpaceError,
    Vector,
)
from hpo.space.parameters import MAX_LISTED, is_number, key_of, same
from hpo.told import FOUND

#: Reals that went through a text may differ in their last digits.
_CLOSE = 1e-9
_HALVINGS = 200
#: So far from an edge at which a transformation is infinite it is tried, as a share of the range.
_INWARD = 1e-6


class Inverse:
    """Of one space; remembers what it had to list."""

    def __init__(self, space: ParameterSpace) -> None:
        self._space = space
        self._parameters = [_Inverted(parameter) for parameter in space.parameters]

    def found(self, params: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return label -> value for hyperparameters, as a sampler would have found them; None when they do not fit.

        They fit when the space gives just these: nothing else, nothing less. Reals may differ in their last digits.
        """
        known: dict[str, Any] = {}
        for parameter in self._parameters:
            if parameter.name in params:
                known.update(parameter.labels(params[parameter.name]))
        try:
            proposal = found(self._space, lambda label, _domain: known[label])
        except (KeyError, SpaceError):
            return None
        fits = proposal.params.keys() == params.keys() and all(alike(v, params[k]) for k, v in proposal.params.items())
        return proposal.system_attrs[FOUND] if fits else None

    def misfits(self, params: Mapping[str, Any]) -> tuple[list[str], list[str]]:
        """Return the parameters by which hyperparameters do not fit: whose values cannot be, and that are missing."""
        wrong = [p.name for p in self._parameters if p.name in params and not p.gives(params[p.name])]
        missing = [p.name for p in self._space.parameters if p.name not in params and p.condition is None]
        return (wrong, missing) if wrong or missing else (["conditions"], [])


class _Inverted:
    """One parameter, backwards."""

    def __init__(self, parameter: Parameter) -> None:
        self._parameter = parameter
        self.name = parameter.name

    def labels(self, value: Any) -> dict[str, Any]:
        """Return what was found in each domain to give `value`; without those in which nothing can."""
        if isinstance(self._parameter, Vector):
            return self._of_vector(value)
        return {
            label: one for label, domain in self._parameter.domains.items() for one in self._searched(domain, value)
        }

    def gives(self, value: Any) -> bool:
        """Whether the parameter can have this value."""
        if self._parameter.domains:
            return len(self.labels(value)) == len(self._parameter.domains)
        return alike(self._parameter.value(0), value)

    def _of_vector(self, value: Any) -> dict[str, Any]:
        if not isinstance(value, list) or len(value) != len(self._elements):
            return {}
        inner = (element.labels(one) for element, one in zip(self._elements, value, strict=True))
        return {f"{self.name}[{place}]": one for place, labels in enumerate(inner) for one in labels.values()}

    @cached_property
    def _elements(self) -> list[_Inverted]:
        assert isinstance(self._parameter, Vector)
        return [_Inverted(element) for element in self._parameter.elements]

    def _searched(self, domain: Domain, value: Any) -> list[Any]:
        """What gives `value`: one, or none."""
        if isinstance(domain, FloatDomain):
            return self._bisected(domain, value) if is_number(value) else []
        if self._is_counted:
            return self._counted(value) if is_number(value) else []
        keys = (key_of(value), _key(value))
        return [self._listed[key] for key in keys if key in self._listed][:1]

    @property
    def _is_counted(self) -> bool:
        """Whether its values are `low` and every step from there, so that none has to be listed."""
        ranged = isinstance(self._parameter, Integer | Real) and not self._parameter.points
        return ranged and self._parameter.transform is None

    def _counted(self, value: float) -> list[int]:
        """The step at which a range comes to `value`."""
        (domain,) = self._parameter.domains.values()
        assert isinstance(domain, IntDomain)
        searched = domain.low + self._steps(value) * domain.step
        inside = domain.low <= searched <= domain.high
        return [searched] if inside and alike(self._finished(searched), value) else []

    def _steps(self, value: float) -> int:
        """How many steps `value` is above the lower bound; -1 where it is between two whole ones."""
        assert isinstance(self._parameter, Integer | Real)
        if isinstance(self._parameter, Integer):
            steps, rest = divmod(int(value) - self._parameter.low, self._parameter.step)
            return steps if value == int(value) and not rest else -1
        place = (value - self._parameter.low) / (self._parameter.step or 1)
        return round(place) if math.isfinite(place) else -1

    @cached_property
    def _listed(self) -> dict[Any, Any]:
        """What the model gets -> what was found, for a domain with an end."""
        domain = next(iter(self._parameter.domains.values()))
        number = min(count(domain) or 0, MAX_LISTED)
        values = domain.choices if isinstance(domain, ChoiceDomain) else [value_at(domain, i) for i in range(number)]
        given = [(self._finished_or_none(one), one) for one in values]
        pairs = [(result, one) for result, one in given if result is not None or self._parameter.transform is None]
        return {**{_key(result): one for result, one in pairs}, **{key_of(result): one for result, one in pairs}}

    def _finished(self, searched: Any) -> Any:
        label = next(iter(self._parameter.domains))
        return self._parameter.finish(self._parameter.from_search({label: searched}))

    def _finished_or_none(self, searched: Any) -> Any:
        """None where the transformation gives no finite number, such as a logarithm at 0."""
        try:
            return self._finished(searched)
        except SpaceError:
            return None

    def _bisected(self, domain: FloatDomain, value: float) -> list[float]:
        """The place in the range that gives `value`; transformations are taken to rise or to fall throughout."""
        if self._parameter.transform is None:
            inside = domain.low * (1 - math.copysign(_CLOSE, domain.low)) <= value
            inside = inside and value <= domain.high * (1 + math.copysign(_CLOSE, domain.high))
            return [min(max(float(value), domain.low), domain.high)] if inside else []
        low, high = domain.low, domain.high
        try:
            rises = self._finished_near(high, low) >= self._finished_near(low, high)
            for _ in range(_HALVINGS):
                middle = (low + high) / 2
                if (self._finished(middle) < value) == rises:
                    low = middle
                else:
                    high = middle
            return [high] if alike(self._finished(high), value) else []
        except SpaceError:  # infinite somewhere inside, or only there would it be `value`
            return []

    def _finished_near(self, edge: float, other: float) -> Any:
        """What an edge of the range gives; where that is infinite, a place near it."""
        result = self._finished_or_none(edge)
        return self._finished(edge + (other - edge) * _INWARD) if result is None else result


def _key(value: Any) -> Any:
    """Equal for values that a text may have made of each other."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return repr(value)
    return f"{value:.12g}" if isinstance(value, float) or is_number(value) else str(value)


def alike(a: Any, b: Any) -> bool:
    """Whether two JSON values are the same but for the last digits of numbers, which a text may have changed."""
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(alike, a, b))
    if is_number(a) and is_number(b):
        return math.isclose(a, b, rel_tol=_CLOSE, abs_tol=1e-300)
    return same(a, b)
