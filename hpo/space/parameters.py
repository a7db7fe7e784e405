"""The kinds of parameters: what each may be, where a sampler searches it, and its points in a grid.

Three steps lead to a value: what a sampler finds in the *domains* becomes what is *drawn* from the range, and the
transformation makes of it what the model gets.
"""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Context, Decimal
from functools import cached_property
from typing import Any, ClassVar, TypeAlias

from hpo.space import expressions
from hpo.space.expressions import MISSING, VARIABLE, Expression, ExpressionError
from hpo.space.texts import as_read, list_in_text

#: A grid over a transformed parameter is listed once, to leave out values that occur twice; so many at most.
MAX_LISTED = 1_000_000

#: So many steps of a real range can be told apart.
MAX_STEPS = 1e15

#: Bounds of whole numbers, whose difference has to be a double.
MAX_WHOLE = 10**300

_DECIMAL = Context(prec=50)


class SpaceError(ValueError):
    """A parameter or a space that cannot be; the text is a sentence for the user, without the place."""


# --- where a sampler searches -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ChoiceDomain:
    """One of some unordered choices, all of JSON's single types and no two equal."""

    choices: tuple[bool | int | float | str | None, ...]


@dataclass(frozen=True, slots=True)
class IntDomain:
    """The whole numbers `low`, `low + step`, … up to `high`; `log` only with step 1."""

    low: int
    high: int
    log: bool = False
    step: int = 1


@dataclass(frozen=True, slots=True)
class FloatDomain:
    """The numbers from `low` to `high`, both included; with `step`, `low` and every step from there."""

    low: float
    high: float
    log: bool = False
    step: float | None = None


Domain: TypeAlias = ChoiceDomain | IntDomain | FloatDomain


# --- what all parameters have -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Parameter(ABC):
    """One parameter of a space.

    condition: the parameter is in a trial only where this holds; it reads other parameters' values as the model gets
    them. transform: applied to what is drawn (the variable `x`). default: a value as drawn, or `MISSING`.
    """

    kind: ClassVar[str]

    name: str
    condition: Expression | None = field(default=None, kw_only=True)
    transform: Expression | None = field(default=None, kw_only=True)
    default: Any = field(default=MISSING, kw_only=True)

    @property
    @abstractmethod
    def drawn_count(self) -> int | None:
        """Number of values that can be drawn; None when there is no end of them."""

    @abstractmethod
    def drawn(self, index: int) -> Any:
        """Return the drawn value number `index`, from 0, of a finite parameter."""

    @property
    @abstractmethod
    def domains(self) -> Mapping[str, Domain]:
        """Where a sampler searches, by label: the name, or ``name[0]``, ``name[1]``, … for a vector."""

    @abstractmethod
    def from_search(self, found: Mapping[str, Any]) -> Any:
        """Return the drawn value for what a sampler found in `domains`, by the same labels."""

    @abstractmethod
    def admits(self, drawn: Any) -> bool:
        """Return whether `drawn` is a value that can be drawn."""

    @abstractmethod
    def probes(self) -> Sequence[Any]:
        """Return some drawn values with which a transformation is tried out, none that is hardly ever drawn."""

    @abstractmethod
    def own_json(self) -> dict[str, Any]:
        """Return what this kind adds to `to_json`."""

    @property
    def read_as_lists(self) -> tuple[str, ...]:
        """The texts among the values that the model gets as lists of numbers."""
        return ()

    @property
    def count(self) -> int | None:
        """Number of points in a grid; None when the parameter is not finite."""
        return self.drawn_count if self._listed is None else len(self._listed)

    def value(self, index: int) -> Any:
        """Return the model's value at grid point `index`."""
        return self.finish(self.drawn(index)) if self._listed is None else self._listed[index]

    def finish(self, drawn: Any) -> Any:
        """Return what the model gets for a drawn value: transformed, and a text that is a list read as one.

        Raises `SpaceError` when the transformation gives no finite number.
        """
        if self.transform is None:
            return as_read(drawn)
        return self._tidy(self._transformed(drawn))

    def __post_init__(self) -> None:
        """Raise `SpaceError` for what cannot be; each kind adds its own checks."""
        reads = set(expressions.names_in(self.transform)) - {VARIABLE}
        self._check(not reads, f"the transformation reads {', '.join(sorted(reads))}, not only its own value")
        for drawn in self.probes() if self.transform is not None else ():
            self.finish(drawn)
        fine = self.default is MISSING or self.admits(self.default)
        self._check(fine, f"the default {self.default!r} is not one of its values")

    def to_json(self) -> dict[str, Any]:
        """Return the parameter as JSON, which `hpo.space.from_json` reads back."""
        tree = {"name": self.name, "kind": self.kind, **self.own_json()}
        if self.condition is not None:
            tree["condition"] = expressions.to_json(self.condition)
        if self.transform is not None:
            tree["transform"] = expressions.to_json(self.transform)
        if self.default is not MISSING:
            tree["default"] = self.default
        return tree

    def _check(self, fine: bool, what: str) -> None:
        if not fine:
            raise SpaceError(f"{self.name!r}: {what}")

    @cached_property
    def _listed(self) -> list[Any] | None:
        """The values each once, where a transformation may give one value twice; else None."""
        if self.transform is None or self.drawn_count is None:
            return None
        self._check(self.drawn_count <= MAX_LISTED, f"{self.drawn_count} transformed values are too many for a grid")
        return unique(self.finish(self.drawn(i)) for i in range(self.drawn_count))

    def _transformed(self, drawn: Any) -> Any:
        try:
            result = expressions.evaluate(self.transform, {VARIABLE: drawn})
        except ExpressionError as error:
            raise SpaceError(f"{self.name!r}: the transformation: {error}") from None
        for one in result if isinstance(result, list) else [result]:
            finite = not isinstance(one, float) or math.isfinite(one)
            self._check(finite, f"the transformation gives {one} at {drawn!r}")
        return result

    def _tidy(self, result: Any) -> Any:
        """Whole numbers become integers, as a model expects of a batch size; R's own arithmetic has doubles only."""
        return [_whole(v) for v in result] if isinstance(result, list) else _whole(result)


# --- the kinds --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Constant(Parameter):
    """A parameter that has one value: any JSON value."""

    kind: ClassVar[str] = "constant"

    constant: Any

    def __post_init__(self) -> None:
        self._check(is_json(self.constant), f"{self.constant!r} is not a value that JSON has")
        super().__post_init__()

    @property
    def drawn_count(self) -> int:
        return 1

    def drawn(self, index: int) -> Any:  # noqa: ARG002
        return self.constant

    @property
    def domains(self) -> Mapping[str, Domain]:
        return {}

    def from_search(self, found: Mapping[str, Any]) -> Any:  # noqa: ARG002
        return self.constant

    def admits(self, drawn: Any) -> bool:
        return same(drawn, self.constant)

    @property
    def read_as_lists(self) -> tuple[str, ...]:
        return _texts_read([self.constant])

    def probes(self) -> Sequence[Any]:
        return [self.constant]

    def own_json(self) -> dict[str, Any]:
        return {"value": self.constant}


@dataclass(frozen=True)
class Categorical(Parameter):
    """One of some choices, which are any JSON values; `ordered` ones are searched by their place in the list."""

    kind: ClassVar[str] = "categorical"

    choices: Sequence[Any]
    ordered: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "choices", tuple(self.choices))
        self._check(len(self.choices) > 0, "there is no choice")
        for choice in self.choices:
            self._check(is_json(choice), f"{choice!r} is not a value that JSON has")
        self._check(len(unique(self.choices)) == len(self.choices), "a choice is given twice")
        super().__post_init__()

    @property
    def drawn_count(self) -> int:
        return len(self.choices)

    def drawn(self, index: int) -> Any:
        return self.choices[index]

    @property
    def domains(self) -> Mapping[str, Domain]:
        if self.ordered:
            return {self.name: IntDomain(0, len(self.choices) - 1)}
        return {self.name: ChoiceDomain(tuple(range(len(self.choices))) if self._by_index else tuple(self.choices))}

    def from_search(self, found: Mapping[str, Any]) -> Any:
        return self.choices[found[self.name]] if self._by_index else found[self.name]

    def admits(self, drawn: Any) -> bool:
        return any(same(drawn, choice) for choice in self.choices)

    @property
    def read_as_lists(self) -> tuple[str, ...]:
        return _texts_read(self.choices)

    def probes(self) -> Sequence[Any]:
        return self.choices[:1000]

    def own_json(self) -> dict[str, Any]:
        return {"choices": list(self.choices), **({"ordered": True} if self.ordered else {})}

    @property
    def _by_index(self) -> bool:
        """Lists have no place among a sampler's choices, and it takes 1, 1.0 and True for one."""
        single = all(choice is None or isinstance(choice, bool | int | float | str) for choice in self.choices)
        return self.ordered or not single or len(set(self.choices)) < len(self.choices)


@dataclass(frozen=True)
class Integer(Parameter):
    """The whole numbers from `low` to `high`, both included.

    log: searched on a logarithmic scale. step: only every so many, from `low`. points: a grid of at most so many,
    evenly spaced (on the logarithmic scale with `log`), instead of all.
    """

    kind: ClassVar[str] = "integer"

    low: int
    high: int
    log: bool = False
    step: int = 1
    points: int | None = None

    def __post_init__(self) -> None:
        for bound in (self.low, self.high, self.step):
            self._check(_is_int(bound), f"{bound!r} is not a whole number")
            self._check(abs(bound) <= MAX_WHOLE, "its whole numbers are too large")
        _check_range(self)
        self._check(not self.log or self.low >= 1, f"a logarithmic scale begins at 1 or above, not at {self.low}")
        super().__post_init__()

    @property
    def drawn_count(self) -> int:
        return len(self._spaced) if self.points else (self.high - self.low) // self.step + 1

    def drawn(self, index: int) -> int:
        return self._spaced[index] if self.points else self.low + index * self.step

    @property
    def domains(self) -> Mapping[str, Domain]:
        if self.points:
            return {self.name: IntDomain(0, len(self._spaced) - 1)}
        return {self.name: IntDomain(self.low, self.low + (self.drawn_count - 1) * self.step, self.log, self.step)}

    def from_search(self, found: Mapping[str, Any]) -> int:
        return self._spaced[found[self.name]] if self.points else int(found[self.name])

    def admits(self, drawn: Any) -> bool:
        return _is_int(drawn) and self.low <= drawn <= self.high

    def probes(self) -> Sequence[Any]:
        return [(self.low + self.high) // 2, self.low, self.high]  # its edges are drawn as often as others

    def own_json(self) -> dict[str, Any]:
        return _range_json(self, plain_step=1)

    @cached_property
    def _spaced(self) -> list[int]:
        return unique(round(p) for p in _spaced(self.low, self.high, self.points or 1, self.log))


@dataclass(frozen=True)
class Real(Parameter):
    """The numbers from `low` to `high`, both included; the model gets them in full precision.

    log: searched on a logarithmic scale. step: only every so many, from `low`. points: only so many, evenly spaced
    (on the logarithmic scale with `log`), both ends included. With one of these two it is finite.
    """

    kind: ClassVar[str] = "real"

    low: float
    high: float
    log: bool = False
    step: float | None = None
    points: int | None = None

    def __post_init__(self) -> None:
        for key in ("low", "high", "step"):
            bound = getattr(self, key)
            if bound is not None or key != "step":
                self._check(is_number(bound), f"{bound!r} is not a finite number")
                object.__setattr__(self, key, float(bound))
        if is_number(self.default):
            object.__setattr__(self, "default", float(self.default))
        _check_range(self)
        few = self.step is None or (self.high - self.low) / self.step <= MAX_STEPS
        self._check(few, f"a step of {self.step} makes too many values; leave it out, or give a larger one")
        self._check(not self.log or self.low > 0, f"a logarithmic scale begins above 0, not at {self.low}")
        super().__post_init__()

    @property
    def drawn_count(self) -> int | None:
        if self.points:
            return self.points
        if self.step:
            return int((_decimal(self.high) - _decimal(self.low)) // _decimal(self.step)) + 1
        return 1 if self.low == self.high else None

    def drawn(self, index: int) -> float:
        if self.points:
            return float(_spaced_at(self.low, self.high, self.points, self.log, index))
        # By decimals, so that 0.1 * 3 is 0.3.
        return float(_decimal(self.low) + index * _decimal(self.step or 0.0))

    @property
    def domains(self) -> Mapping[str, Domain]:
        if self.points or self.step:
            return {self.name: IntDomain(0, (self.drawn_count or 1) - 1)}
        return {self.name: FloatDomain(self.low, self.high, self.log)}

    def from_search(self, found: Mapping[str, Any]) -> float:
        return self.drawn(found[self.name]) if self.points or self.step else float(found[self.name])

    def admits(self, drawn: Any) -> bool:
        return is_number(drawn) and self.low <= drawn <= self.high

    def probes(self) -> Sequence[Any]:
        return [self.low / 2 + self.high / 2]

    def own_json(self) -> dict[str, Any]:
        return _range_json(self, plain_step=None)

    def _tidy(self, result: Any) -> Any:
        whole = self.transform is not None and expressions.is_whole(self.transform)
        return super()._tidy(result) if whole else result


@dataclass(frozen=True)
class Vector(Parameter):
    """A list of values, each drawn from a parameter of its own; those have no name, condition or transformation."""

    kind: ClassVar[str] = "vector"

    elements: Sequence[Parameter]

    def __post_init__(self) -> None:
        object.__setattr__(self, "elements", tuple(self.elements))
        self._check(len(self.elements) > 0, "a vector has one element or more")
        for element in self.elements:
            plain = element.condition is None and element.transform is None and not isinstance(element, Vector)
            self._check(plain, "an element of a vector has no condition and no transformation, and is no vector")
        super().__post_init__()

    @property
    def drawn_count(self) -> int | None:
        counts = [element.count for element in self.elements]
        return None if None in counts else math.prod(c for c in counts if c is not None)

    def drawn(self, index: int) -> list[Any]:
        values = []
        for element in reversed(self.elements):
            index, place = divmod(index, element.count or 1)
            values.append(element.value(place))
        return values[::-1]

    @property
    def domains(self) -> Mapping[str, Domain]:
        return {
            f"{self.name}[{place}]": domain
            for place, element in enumerate(self.elements)
            for domain in element.domains.values()
        }

    def from_search(self, found: Mapping[str, Any]) -> list[Any]:
        return [
            element.finish(element.from_search({element.name: found.get(f"{self.name}[{place}]")}))
            for place, element in enumerate(self.elements)
        ]

    def admits(self, drawn: Any) -> bool:
        fits = isinstance(drawn, list) and len(drawn) == len(self.elements)
        return fits and all(e.admits(v) for e, v in zip(self.elements, drawn, strict=True))

    def probes(self) -> Sequence[Any]:
        return [[element.finish(element.probes()[0]) for element in self.elements]]

    def own_json(self) -> dict[str, Any]:
        return {"elements": [element.to_json() for element in self.elements]}

    def _tidy(self, result: Any) -> Any:
        reals = any(isinstance(element, Real) for element in self.elements)
        whole = self.transform is not None and expressions.is_whole(self.transform)
        return super()._tidy(result) if whole or not reals else result


KINDS: Mapping[str, type[Parameter]] = {kind.kind: kind for kind in (Constant, Categorical, Integer, Real, Vector)}


def parameter_from_json(tree: Mapping[str, Any]) -> Parameter:
    """Return the parameter that `Parameter.to_json` wrote."""
    options = dict(tree)
    kind = KINDS[options.pop("kind")]
    if kind is Constant:
        options["constant"] = options.pop("value")
    if kind is Vector:
        options["elements"] = [parameter_from_json(element) for element in options["elements"]]
    for key in ("condition", "transform"):
        if key in options:
            options[key] = expressions.from_json(options[key])
    return kind(**options)


# --- values -----------------------------------------------------------------------------------------------------------


def is_number(value: Any) -> bool:
    """Return whether a value is a finite number that a double can hold (a truth value is not)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def is_json(value: Any) -> bool:
    """Return whether a value is one that JSON has and that reads back to the same value."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, list):
        return all(map(is_json, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) and is_json(one) for key, one in value.items())
    return value is None or isinstance(value, bool | int | str)


def same(a: Any, b: Any) -> bool:
    """Return whether two JSON values are equal in value and type: 1, 1.0 and True are three."""
    return bool(key_of(a) == key_of(b))


def key_of(value: Any) -> Any:
    """Return something hashable that is equal for two JSON values exactly when they are the same."""
    return (type(value), value) if not isinstance(value, list | dict) else json.dumps(value, sort_keys=True)


def unique(values: Iterable[Any]) -> list[Any]:
    """Return the values without those that are the same as an earlier one."""
    first: dict[Any, Any] = {}
    for value in values:
        first.setdefault(key_of(value), value)
    return list(first.values())


def _texts_read(values: Iterable[Any]) -> tuple[str, ...]:
    return tuple(v for v in values if isinstance(v, str) and list_in_text(v) is not None)


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _whole(value: Any) -> Any:
    exact = isinstance(value, float) and value.is_integer() and abs(value) <= 2**53
    return int(value) if exact else value


def _check_range(parameter: Integer | Real) -> None:
    low, high, step, points = parameter.low, parameter.high, parameter.step, parameter.points
    parameter._check(low <= high, f"the lower bound {low} is above the upper bound {high}")
    parameter._check(step is None or step > 0, f"a step is above 0, not {step}")
    plain = points is None or (step in (None, 1) if isinstance(parameter, Integer) else step is None)
    parameter._check(plain, "give a step or a number of points, not both")
    parameter._check(not (parameter.log and step not in (None, 1)), "a logarithmic scale has no step; give n=5 points")
    if points is not None:
        fine = _is_int(points) and (2 <= points <= MAX_LISTED or (points == 1 and low == high))
        parameter._check(fine, f"the number of points is a whole number from 2 to {MAX_LISTED}, not {points!r}")


def _range_json(parameter: Integer | Real, plain_step: int | None) -> dict[str, Any]:
    tree: dict[str, Any] = {"low": parameter.low, "high": parameter.high}
    options = {"log": parameter.log, "step": parameter.step, "points": parameter.points}
    plain = {"log": False, "step": plain_step, "points": None}
    return tree | {key: option for key, option in options.items() if option != plain[key]}


def _decimal(number: float) -> Decimal:
    return Decimal(repr(number))


def _spaced(low: float, high: float, points: int, log: bool) -> Iterable[Decimal]:
    return (_spaced_at(low, high, points, log, index) for index in range(points))


def _spaced_at(low: float, high: float, points: int, log: bool, index: int) -> Decimal:
    """Return point `index` of `points` from `low` to `high`, by decimals, so that 1e-5 to 1e-1 passes through 0.001."""
    first, last = _decimal(low), _decimal(high)
    if index in (0, points - 1):
        return last if index else first
    part = Decimal(index) / (points - 1)
    if log:
        return _DECIMAL.multiply(first, _DECIMAL.power(_DECIMAL.divide(last, first), part))
    return _DECIMAL.add(first, _DECIMAL.multiply(_DECIMAL.subtract(last, first), part))
