"""The JSON list of CANDLE's genetic algorithm: an object a parameter, with ``name``, ``type`` and bounds or values.

What steers its mutations (``sigma``) means nothing here and is left alone, like any other further key.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from hpo.errors import did_you_mean
from hpo.inputfile.spaces.base import Builder, Mistake, Source
from hpo.inputfile.spaces.json_text import elements, without_comments
from hpo.space import Categorical, Constant, Integer, Parameter, ParameterSpace, Real

_ROWS = "this is no parameter; as rows of a grid, write one row a line, without brackets and commas around"


def matches(source: Source) -> bool:
    """Return whether the text is a JSON list."""
    return source.first_content.startswith("[")


def read(source: Source) -> ParameterSpace | None:
    """Return the space; mistakes are reported with their lines."""
    builder = Builder(source)
    try:
        for number, (item, line) in enumerate(elements(without_comments(source.text))):
            if number == 0 and _is_row(item):
                raise Mistake(_ROWS, line)
            builder.add(line, lambda item=item, line=line: _parameter(item, line, builder))  # type: ignore[misc]
    except Mistake as mistake:
        builder.fail(str(mistake), mistake.line)
    return builder.space()


def _is_row(item: Any) -> bool:
    """Whether the list holds points, as the other JSON form has them, and no parameters."""
    return isinstance(item, dict) and bool(item) and not {"name", "type"} & item.keys()


def _parameter(item: Any, line: int, builder: Builder) -> Parameter:
    if not isinstance(item, dict) or not isinstance(item.get("name"), str):
        raise Mistake('a parameter is an object {"name": …, "type": …, …}')
    kind = item.get("type")
    reader = _KINDS.get(kind.lower()) if isinstance(kind, str) else None
    if reader is None:
        nearest = did_you_mean(str(kind), _KINDS) or f" Types are {', '.join(_KINDS)}."
        raise Mistake(f"{item['name']!r}: {kind!r} is no type of parameter.{nearest}")
    return reader(_Item(item, line, builder))


class _Item:
    """One object of the list."""

    def __init__(self, item: Mapping[str, Any], line: int, builder: Builder) -> None:
        self.name: str = item["name"]
        self._item = item
        self._line = line
        self._builder = builder

    def get(self, key: str) -> Any:
        """Return what must be there."""
        if key not in self._item:
            raise Mistake(f"{self.name!r} has no {key!r}")
        return self._item[key]

    def number(self, key: str) -> Any:
        """Return a number, which may be given as text."""
        return _numeric(self.get(key))

    def choices(self) -> list[Any]:
        """Return the values, each once, as their `element_type` says."""
        values = self.get("values")
        if not isinstance(values, list):
            raise Mistake(f"{self.name!r}: 'values' is a list")
        convert = _ELEMENTS.get(str(self._item.get("element_type", "string")).lower(), lambda value: value)
        return self._builder.distinct(self.name, [convert(value) for value in values], self._line)

    def log(self, low: Any) -> bool:
        """Return whether the scale is logarithmic; one that began at 0 never was."""
        wanted = self._item.get("use_log_scale", False)
        log = wanted is True or str(wanted).lower() == "true"
        if log and isinstance(low, int | float) and low <= 0:
            self._builder.source.warn(
                f"{self.name!r} begins at {low}: its scale is linear, not logarithmic", self._line
            )
            return False
        return log


def _numeric(value: Any) -> Any:
    """A number in a text is the number."""
    if not isinstance(value, str):
        return value
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value


def _logical(value: Any) -> Any:
    return {"true": True, "false": False}.get(value.lower(), value) if isinstance(value, str) else value


def _int(item: _Item) -> Parameter:
    low, high = (_whole(item.number(key)) for key in ("lower", "upper"))
    integer = Integer(item.name, low, high, item.log(low) and low != high)
    return Constant(item.name, low) if low == high else integer


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _float(item: _Item) -> Parameter:
    low, high = item.number("lower"), item.number("upper")
    real = Real(item.name, low, high, item.log(low) and low != high)
    return Constant(item.name, real.low) if low == high else real


_ELEMENTS: Mapping[str, Callable[[Any], Any]] = {"int": _numeric, "float": _numeric, "logical": _logical}
_KINDS: Mapping[str, Callable[[_Item], Parameter]] = {
    "int": _int,
    "float": _float,
    "categorical": lambda item: Categorical(item.name, item.choices()),
    "ordered": lambda item: Categorical(item.name, item.choices(), ordered=True),
    "logical": lambda item: Categorical(item.name, [True, False]),
    "constant": lambda item: Constant(item.name, item.get("value")),
}


def as_points(parameter: Parameter) -> str:
    """Return how a range of reals is written as a list, for a message."""
    points = replace(parameter, points=5) if isinstance(parameter, Real) else parameter
    values = [points.value(i) for i in range(points.count or 0)]
    return f'{{"name": {json.dumps(parameter.name)}, "type": "ordered", "values": {json.dumps(values)}}}'
