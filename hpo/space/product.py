"""`ParameterSpace`: parameters, the product of their grids, and what a sampler needs of them."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import accumulate
from typing import Any

from hpo.space import expressions
from hpo.space.expressions import MISSING, ExpressionError
from hpo.space.parameters import (
    Domain,
    Integer,
    Parameter,
    Real,
    SpaceError,
    Vector,
    key_of,
    parameter_from_json,
)
from hpo.space.rows import default_id

#: How many combinations of values that conditions read are tried to count the points of a grid.
MAX_COMBINATIONS = 200_000

#: How many combinations of values are tried to find out whether a condition can be computed, and ever holds.
MAX_TRIED = 1_000

#: How many parameters conditions may read.
MAX_READ = 100


class ParameterSpace:
    """Parameters with ranges or choices; finite ones span a grid.

    samples: how many random points the file asks for, when it is a random sweep; else None.
    Raises `SpaceError` for two parameters of one name, and for conditions that read an unknown name or each other.
    """

    def __init__(self, parameters: Sequence[Parameter], samples: int | None = None) -> None:
        self.parameters = tuple(parameters)
        self.samples = samples
        self._by_name = {p.name: p for p in self.parameters}
        _check_names(self.parameters)
        _check_conditions(self.parameters)
        self._order = _conditions_last(self.parameters)
        self._needed = _names_needed(self._order)
        self._counts: dict[tuple[int, tuple[Any, ...]], int] = {}
        self._ends: dict[tuple[int, tuple[Any, ...]], list[int]] = {}

    @property
    def names(self) -> list[str]:
        """The parameters' names, in order."""
        return list(self._by_name)

    @property
    def read_as_lists(self) -> tuple[tuple[str, str], ...]:
        """The texts that the model gets as lists of numbers: ``(name, text)``."""
        return tuple((p.name, text) for p in self.parameters for text in p.read_as_lists)

    def condition_faults(self) -> dict[str, str]:
        """Return name -> what is wrong with the condition, for those that cannot be computed for some values.

        Tried are all values of what a condition reads, both bounds of ranges; of more than `MAX_TRIED` combinations
        so many, drawn.
        """
        faults = {}
        for parameter in self.parameters:
            if parameter.condition is not None and (fault := self._fault(parameter)) is not None:
                faults[parameter.name] = fault
        return faults

    def never(self) -> list[str]:
        """Return the parameters that are in no trial: whatever is drawn for the others, their conditions do not hold.

        Only those are named whose conditions read few enough values that all can be tried.
        """
        return [p.name for p in self.parameters if p.condition is not None and not self._can_be_active(p)]

    def _fault(self, parameter: Parameter) -> str | None:
        read = self._read_by(parameter)
        absent = dict.fromkeys((p.name for p in read), MISSING)
        try:
            above = ParameterSpace([_bounded(p) for p in read])
            size = above.size() or 0
            dice = random.Random(0)  # noqa: S311
            few = range(size) if size <= MAX_TRIED else (dice.randrange(size) for _ in range(MAX_TRIED))
            for number in few:
                expressions.holds(parameter.condition, {**absent, **above.point(number)})
        except ExpressionError as error:
            return str(error)
        except SpaceError:  # said elsewhere, where it matters
            pass
        return None

    def _can_be_active(self, parameter: Parameter) -> bool:
        above = ParameterSpace(self._read_by(parameter))
        absent = dict.fromkeys(above.names, MISSING)
        try:
            size = above.size()
            tried = range(size) if size is not None and size <= MAX_TRIED else None
            return tried is None or any(self._active(parameter, {**absent, **above.point(n)}) for n in tried)
        except SpaceError:  # said elsewhere, where it matters
            return True

    def _read_by(self, parameter: Parameter) -> list[Parameter]:
        """Return the parameters that a condition reads, and those that the conditions of these read."""
        read = set(expressions.names_in(parameter.condition))
        for other in reversed(self._order):
            if other.name in read:
                read.update(expressions.names_in(other.condition))
        return [p for p in self._order if p.name in read]

    # --- the grid -----------------------------------------------------------------------------------------------------

    def size(self) -> int | None:
        """Return the number of points of the grid, no two alike; None when a parameter is not finite.

        Raises `SpaceError` when conditions read so many values that the points cannot be counted.
        """
        return self._size

    def point(self, number: int) -> dict[str, Any]:
        """Return the hyperparameters of grid point `number`, without inactive ones; the first name changes slowest.

        Computed from `number` alone. Raises IndexError beyond the grid.
        """
        size = self._size
        if size is None or not 0 <= number < size:
            raise IndexError(f"there is no grid point {number}; there are {size}")
        values: dict[str, Any] = {}
        for place, parameter in enumerate(self._order):
            if not self._active(parameter, values):
                values[parameter.name] = MISSING
                continue
            index, number = self._step_into(place, values, number)
            values[parameter.name] = parameter.value(index)
        return self._present(values)

    def trial_id(self, number: int) -> str:
        """Return the id of grid point `number`."""
        return default_id(number)

    # --- sampling -----------------------------------------------------------------------------------------------------

    def suggest(self, ask: Callable[[str, Domain], Any]) -> dict[str, Any]:
        """Return hyperparameters, asking a sampler for a value in each domain that is active.

        `ask(label, domain)` is called in an order in which every condition can be decided, never for constants.
        """
        values: dict[str, Any] = {}
        for parameter in self._order:
            if self._active(parameter, values):
                found = {label: ask(label, domain) for label, domain in parameter.domains.items()}
                values[parameter.name] = parameter.finish(parameter.from_search(found))
            else:
                values[parameter.name] = MISSING
        return self._present(values)

    def values(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """Return hyperparameters for the values that a sampler found, by label (`domains`)."""
        return self.suggest(lambda label, _domain: point[label])

    def domains(self) -> dict[str, Domain]:
        """Return where a sampler searches: the domain of each label, conditional ones included, in the order asked."""
        return {label: domain for p in self._order for label, domain in p.domains.items()}

    # --- JSON ---------------------------------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """Return the space as JSON."""
        tree: dict[str, Any] = {"kind": "parameters", "parameters": [p.to_json() for p in self.parameters]}
        return tree if self.samples is None else tree | {"samples": self.samples}

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> ParameterSpace:
        """Return what `to_json` wrote."""
        return cls([parameter_from_json(p) for p in tree["parameters"]], tree.get("samples"))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ParameterSpace) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash(tuple(self.names))

    def __repr__(self) -> str:
        return f"ParameterSpace({list(self.parameters)!r})"

    # --- counting -----------------------------------------------------------------------------------------------------

    @cached_property
    def _size(self) -> int | None:
        if any(p.count is None for p in self.parameters):
            return None
        return self._count(0, {})

    def _active(self, parameter: Parameter, values: Mapping[str, Any]) -> bool:
        if parameter.condition is None:
            return True
        try:
            return expressions.holds(parameter.condition, values)
        except ExpressionError:  # `condition_faults` finds most; the rest must not end a search
            return False

    def _present(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: values[name] for name in self._by_name if values[name] is not MISSING}

    def _step_into(self, place: int, values: dict[str, Any], number: int) -> tuple[int, int]:
        """Return which value of the parameter at `place` point `number` has, and its number among the points below."""
        name = self._order[place].name
        if name not in self._needed[place + 1]:
            return divmod(number, self._count(place + 1, values))
        ends = self._ends_below(place, values)
        index = bisect_right(ends, number)
        return index, number - (ends[index - 1] if index else 0)

    def _count(self, place: int, values: dict[str, Any]) -> int:
        """Number of points of the parameters from `place` on, given the values before them."""
        key = self._key(place, values)
        if key not in self._counts:
            self._counts[key] = self._counted(place, values)
        return self._counts[key]

    def _counted(self, place: int, values: dict[str, Any]) -> int:
        total = 1
        for here, parameter in enumerate(self._order[place:], place):
            active = self._active(parameter, values)
            if parameter.name not in self._needed[here + 1]:
                total *= (parameter.count or 0) if active else 1
            elif active:
                return total * self._ends_below(here, values)[-1]
            else:
                return total * self._count(here + 1, {**values, parameter.name: MISSING})
        return total

    def _ends_below(self, place: int, values: dict[str, Any]) -> list[int]:
        """For a parameter that conditions read: the running totals of the points below each of its values."""
        key = self._key(place, values)
        if key not in self._ends:
            parameter, count = self._order[place], self._order[place].count or 0
            if count + sum(map(len, self._ends.values())) > MAX_COMBINATIONS:
                raise SpaceError("conditions read too many values for a grid; give them fewer, or list the points")
            below = (self._count(place + 1, {**values, parameter.name: parameter.value(i)}) for i in range(count))
            self._ends[key] = list(accumulate(below))
        return self._ends[key]

    def _key(self, place: int, values: Mapping[str, Any]) -> tuple[int, tuple[Any, ...]]:
        return place, tuple(key_of(values[name]) for name in self._needed[place] if name in values)


def _check_names(parameters: Sequence[Parameter]) -> None:
    names: set[str] = set()
    for parameter in parameters:
        if not parameter.name:
            raise SpaceError("a parameter has no name")
        if parameter.name in names:
            raise SpaceError(f"the parameter {parameter.name!r} is given twice")
        names.add(parameter.name)


def _check_conditions(parameters: Sequence[Parameter]) -> None:
    known = {p.name for p in parameters}
    read = {name: p.name for p in parameters for name in expressions.names_in(p.condition)}
    for name, reader in read.items():
        if name not in known:
            raise SpaceError(f"the condition of {reader!r} reads {name!r}, which is no parameter")
    if len(read) > MAX_READ:
        raise SpaceError(f"conditions read {len(read)} parameters; they may read {MAX_READ}")


def _conditions_last(parameters: Sequence[Parameter]) -> list[Parameter]:
    """Return the parameters as given, but none before those that its condition reads."""
    by_name = {p.name: p for p in parameters}
    ordered: dict[str, Parameter] = {}

    def visit(parameter: Parameter, path: tuple[str, ...]) -> None:
        if parameter.name in path:
            raise SpaceError(f"the condition of {parameter.name!r} depends on itself")
        if parameter.name in ordered:
            return
        for name in expressions.names_in(parameter.condition):
            visit(by_name[name], (*path, parameter.name))
        ordered[parameter.name] = parameter

    for parameter in parameters:
        visit(parameter, ())
    return list(ordered.values())


def _bounded(parameter: Parameter) -> Parameter:
    """Return the parameter with an end of values: of a range with none, or with many, its bounds."""
    plain = replace(parameter, default=MISSING)
    if isinstance(plain, Vector):
        return replace(plain, elements=[_bounded(element) for element in plain.elements])
    if plain.drawn_count is not None and plain.drawn_count <= MAX_TRIED:
        return plain
    if isinstance(plain, Integer):
        return replace(plain, step=1, points=2)
    return replace(plain, step=None, points=2) if isinstance(plain, Real) else plain


def _names_needed(order: Sequence[Parameter]) -> list[list[str]]:
    """For each place: the names that conditions from there on read."""
    needed: list[list[str]] = [[]]
    for parameter in reversed(order):
        needed.append(list(dict.fromkeys([*expressions.names_in(parameter.condition), *needed[-1]])))
    return needed[::-1]
