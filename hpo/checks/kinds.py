"""Parameters whose values are of another type than their own default."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hpo.errors import Complaints
from hpo.inputfile import InputFile
from hpo.space import Integer, Parameter, Real, Rows, SpaceError

#: So many rows or choices are looked at; a mistake of this kind shows in the first ones.
LOOKED_AT = 1000


def check_kinds(inputfile: InputFile, file: Path, complaints: Complaints) -> None:
    """Warn of each parameter that has a value of another type than its default in &default_model.

    file: the input file as its user named it.
    """
    shown: set[str] = set()
    for name, value in _values(inputfile):
        if name in inputfile.defaults and name not in shown and not _fits(value, inputfile.defaults[name]):
            shown.add(name)
            default = f"{inputfile.defaults[name]!r}, {_kind(inputfile.defaults[name])}"
            message = f"{name!r} is {default}, in &default_model, but {value!r}, {_kind(value)}, in &param_space"
            complaints.warn(message, file)


def _values(inputfile: InputFile) -> Iterator[tuple[str, Any]]:
    space = inputfile.space
    if isinstance(space, Rows):
        for number in range(min(space.size(), LOOKED_AT)):
            yield from space.point(number).items()
    else:
        for parameter in space.parameters:
            yield from ((parameter.name, value) for value in examples(parameter))


def examples(parameter: Parameter) -> list[Any]:
    """Return some values that a model may get for a parameter, its ends among them."""
    try:
        if isinstance(parameter, Real | Integer) and parameter.count is None:
            inner = parameter.low + (parameter.high - parameter.low) * 0.618
            return [parameter.finish(drawn) for drawn in (parameter.low, inner, parameter.high)]
        count = parameter.count or 0
        numbers = dict.fromkeys([*range(min(count, LOOKED_AT)), count - 1] if count else [])
        return [parameter.value(number) for number in numbers]
    except SpaceError:
        return []


def _fits(value: Any, default: Any) -> bool:
    """True when a value may stand where the default stands; 0 and 1 may be meant as reals or as truth values."""
    if default is None or value is None:
        return True
    if isinstance(default, bool) or isinstance(value, bool):
        return all(isinstance(v, bool) or (_is_number(v) and v in (0, 1)) for v in (value, default))
    if isinstance(default, int) and isinstance(value, float):
        return default in (0, 1) or value.is_integer()
    return _kind(value) == _kind(default) or (_is_number(value) and _is_number(default))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _kind(value: Any) -> str:
    match value:
        case bool():
            return "a truth value"
        case int():
            return "a whole number"
        case float():
            return "a real number"
        case str():
            return "a text"
        case list() | tuple():
            return "a list"
    return "a dictionary" if isinstance(value, dict) else "nothing"
