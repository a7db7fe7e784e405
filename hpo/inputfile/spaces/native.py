"""The native form: one parameter a line.

::

    batch_size = [64, 128, 256]          # a list of choices; choice(64, 128, 256) is the same
    layers     = int(1, 5)
    units      = int(16, 1024, log)
    lr         = real(1e-5, 1e-1, log)   # real(1e-5, 1e-1, log, n=5) has five points
    drop       = real(0, 0.9, step=0.1)
    momentum   = real(0, 0.99) if optimizer == 'sgd'
    width      = int(4, 10, transform=2**x)
    shape      = vector(2, int(1, 9))    # or vector(int(1, 9), real(0, 1)), element by element
    seed       = 7                       # any other value is a constant

`choice(…, ordered)` are choices with an order; `default=…` goes into every pair of parentheses.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

from hpo.errors import did_you_mean
from hpo.inputfile.spaces import conditions
from hpo.inputfile.spaces.base import Builder, Mistake, Source
from hpo.inputfile.spaces.statements import HEAD, Statement, split_outside, statements
from hpo.inputfile.values import BadValue, read_value
from hpo.space import Categorical, Constant, Integer, Parameter, ParameterSpace, Real, Vector
from hpo.space.expressions import MISSING, VARIABLE, Expression, ExpressionError

_NAME = re.compile(r"[^\W\d][\w.\-]*")
_CALL = re.compile(r"(?P<kind>[A-Za-z_]\w*)\s*\((?P<inside>.*)\)", re.DOTALL)
_OPTION = re.compile(r"(?P<name>[A-Za-z_]\w*)\s*=(?!=)\s*(?P<value>.*)", re.DOTALL)
_WRITE_INSTEAD = " Write bounds, as in int(0, 9) or real(0, 1), or a list of values, as in [1, 2, 4]"
#: What people write who come from elsewhere.
_ELSEWHERE = {
    "float": "real", "uniform": "real", "loguniform": "real", "integer": "int", "randint": "int",
    "categorical": "choice", "discrete": "choice", "ordinal": "choice",
}  # fmt: skip


def matches(source: Source) -> bool:
    """Return whether the first line with content begins ``name =`` or ``name :``."""
    return HEAD.match(source.first_content) is not None


def read(source: Source) -> ParameterSpace | None:
    """Return the space; mistakes are reported with their lines."""
    builder = Builder(source)
    if len(source.text) > MAX_CHARACTERS:
        builder.fail("the parameters fill more than a million characters; list the points as JSON rows instead", None)
        return builder.space()
    lines = list(statements(source, builder.fail))
    names = {line.name for line in lines}
    for line in lines:
        builder.add(line.line, lambda line=line: _parameter(line, names, builder))  # type: ignore[misc]
    return builder.space()


def _parameter(line: Statement, names: set[str], builder: Builder) -> Parameter:
    text, *condition = split_outside(line.text, "if", 1)
    options: dict[str, Any] = {}
    if condition:
        options["condition"] = _expression(line.name, "condition", condition[0], names, builder.source.fixed)

    def distinct(choices: list[Any]) -> list[Any]:
        return builder.distinct(line.name, choices, line.line)

    call = _CALL.fullmatch(text)
    if call is not None:
        return _call(line.name, call["kind"], _Arguments(line.name, call["inside"], distinct, options))
    value = _value(text, line.name)
    if isinstance(value, list) and not text.startswith("("):
        return Categorical(line.name, distinct(value), **options)
    return Constant(line.name, value, **options)


def _expression(name: str, what: str, text: str, names: Collection[str], fixed: Collection[str] = ()) -> Expression:
    try:
        return conditions.parse(text, names, fixed)
    except ExpressionError as error:
        raise Mistake(f"{name!r}, {what}: {error}") from None


def _call(name: str, kind: str, arguments: _Arguments) -> Parameter:
    reader = _READERS.get(kind.lower())
    if reader is None:
        nearest = f" Did you mean {_ELSEWHERE[kind]!r}?" if kind in _ELSEWHERE else did_you_mean(kind, _READERS)
        raise Mistake(f"{name!r}: {kind!r} is none of {', '.join(_READERS)}.{nearest or _WRITE_INSTEAD}")
    return reader(name, arguments)


class _Arguments:
    """What stands between the parentheses: values, flags (a word alone) and options (``name=value``)."""

    def __init__(
        self, name: str, inside: str, distinct: Callable[[list[Any]], list[Any]], options: dict[str, Any]
    ) -> None:
        self.name = name
        self.options = options
        self.distinct = distinct
        self.parts: list[str] = []
        self._given: dict[str, str] = {}
        self._known: list[str] = []
        for part in filter(None, split_outside(inside, ",")):
            option = _OPTION.fullmatch(part)
            if option is None:
                self.parts.append(part)
            elif option["name"].lower() in self._given:
                raise Mistake(f"{name!r}: {option['name']} is given twice")
            else:
                self._given[option["name"].lower()] = option["value"]

    def flag(self, word: str) -> bool:
        """Take the word `word`, which also may be given as ``word=true``."""
        given = [part for part in self.parts if part.lower() == word]
        self.parts = [part for part in self.parts if part.lower() != word]
        value = self.option(word, False)
        if not isinstance(value, bool):
            raise Mistake(f"{self.name!r}: {word} is true or false, not {value!r}")
        return bool(given) or value

    def option(self, word: str, otherwise: Any) -> Any:
        """Take the option `word`."""
        self._known.append(word)
        return _value(self._given.pop(word), self.name) if word in self._given else otherwise

    def values(self) -> list[Any]:
        """Take the values."""
        return [_value(part, self.name) for part in self.parts]

    def finish(self) -> dict[str, Any]:
        """Take what every kind has, and complain of what is left."""
        if "default" in self._given:
            self.options["default"] = self.option("default", None)
        if "transform" in self._given:
            text = self._given.pop("transform")
            self.options["transform"] = _expression(self.name, "transform", text, [VARIABLE])
        for word in self._given:
            raise self.unknown(word)
        return self.options

    def unknown(self, word: str) -> Mistake:
        """Return the mistake that a flag or option is."""
        known = list(dict.fromkeys([*self._known, "default", "transform"]))
        hint = did_you_mean(word, known) or f" The options are {', '.join(known)}."
        return Mistake(f"{self.name!r}: {word!r} is no option here.{hint}")


def _range(kind: type[Integer] | type[Real], name: str, arguments: _Arguments) -> Parameter:
    log = arguments.flag("log")
    step = arguments.option("step", 1 if kind is Integer else None)
    points = arguments.option("n", None)
    bounds = arguments.values()
    for word in filter(lambda bound: isinstance(bound, str), bounds[2:]):
        raise arguments.unknown(word)
    if len(bounds) != 2:
        word = "int" if kind is Integer else "real"
        raise Mistake(f"{name!r}: {word}(low, high) takes two bounds, not {len(bounds)}")
    low, high = bounds
    return kind(name, low, high, log, step, points, **arguments.finish())


def _choice(name: str, arguments: _Arguments) -> Parameter:
    ordered = arguments.flag("ordered")
    return Categorical(name, arguments.distinct(arguments.values()), ordered, **arguments.finish())


def _vector(name: str, arguments: _Arguments) -> Parameter:
    parts, times = arguments.parts, 1
    if parts and parts[0].isdecimal():
        times, parts = int(parts[0][:6]), parts[1:]
        if len(parts) != 1 or times > MAX_LENGTH:
            raise Mistake(f"{name!r}: vector(3, int(1, 5)) has a length (at most {MAX_LENGTH}) and one element")
    elements = [_element(name, part, arguments.distinct) for part in parts] * times
    return Vector(name, elements, **arguments.finish())


def _element(name: str, text: str, distinct: Callable[[list[Any]], list[Any]]) -> Parameter:
    call = _CALL.fullmatch(text)
    if call is not None and call["kind"].lower() == "vector":
        raise Mistake(f"{name!r}: a vector has no vectors as elements")
    if call is not None:
        return _call("", call["kind"], _Arguments("", call["inside"], distinct, {}))
    value = _value(text, name)
    choices = isinstance(value, list) and not text.startswith("(")
    return Categorical("", distinct(value)) if choices else Constant("", value)


#: The longest vector.
MAX_LENGTH = 10_000
#: Of all lines together; a longer space was not written by hand, and JSON rows are read fifty times faster.
MAX_CHARACTERS = 1_000_000

_READERS: dict[str, Callable[[str, _Arguments], Parameter]] = {
    "int": lambda name, arguments: _range(Integer, name, arguments),
    "real": lambda name, arguments: _range(Real, name, arguments),
    "choice": _choice,
    "vector": _vector,
}


def _value(text: str, name: str) -> Any:
    """Read one value by the rules of the whole file; tuples are lists, as in JSON."""
    try:
        return _listed(read_value(text))
    except BadValue as error:
        raise Mistake(f"{name!r} {error}") from None


def _listed(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_listed(one) for one in value]
    return {key: _listed(one) for key, one in value.items()} if isinstance(value, dict) else value


# --- writing ----------------------------------------------------------------------------------------------------------


def write(parameter: Parameter) -> str:
    """Return the line of which `read` makes the same parameter."""
    line = f"{write_name(parameter.name)} = {_write_kind(parameter)}"
    return line if parameter.condition is None else f"{line} if {conditions.write(parameter.condition)}"


def as_points(parameter: Parameter) -> str:
    """Return how a range of reals is written with five points, for a message."""
    finite = replace(parameter, condition=None)
    if isinstance(finite, Real):
        return write(replace(finite, points=5))
    if isinstance(finite, Vector):
        elements = [replace(e, points=5) if isinstance(e, Real) and e.count is None else e for e in finite.elements]
        return write(replace(finite, elements=elements))
    return write(finite)


def write_name(name: str) -> str:
    """Return a parameter's name as it stands before the equals sign."""
    return name if _NAME.fullmatch(name) else "'" + name.replace("'", "''") + "'"


def write_value(value: Any, inside: bool = False) -> str:
    """Return the text that reads back to a value of JSON's types, or a tuple.

    inside: within brackets. Outside of them a list is written as a tuple, since a list would be choices, and a text
    with characters that need a backslash stands in parentheses, since only brackets have Python's escapes.
    """
    if isinstance(value, str):
        return _write_text(value, inside)
    if isinstance(value, list | tuple):
        items = [write_value(one, inside=True) for one in value]
        brackets = inside and isinstance(value, list)
        return f"[{', '.join(items)}]" if brackets else f"({', '.join(items)}{',' if len(items) == 1 else ''})"
    if isinstance(value, dict):
        pairs = (f"{write_value(key, inside=True)}: {write_value(one, inside=True)}" for key, one in value.items())
        return f"{{{', '.join(pairs)}}}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return repr(value)


def _write_text(text: str, inside: bool) -> str:
    if text.isprintable() and not any(char in text for char in "“”„‟‘’‚‛"):
        for quote in "'\"":
            if quote not in text and not (inside and "\\" in text):
                return f"{quote}{text}{quote}"
    return conditions.quoted(text) if inside else f"({conditions.quoted(text)})"


def _write_kind(parameter: Parameter) -> str:
    match parameter:
        case Constant(constant=value):
            return write_value(value)
        case Categorical(ordered=False, transform=None) if parameter.default is MISSING:
            return f"[{', '.join(write_value(choice, inside=True) for choice in parameter.choices)}]"
        case Categorical(choices=choices, ordered=ordered):
            parts = [*map(_write_choice, choices), *(["ordered"] if ordered else [])]
            return _write_call("choice", parts, parameter)
        case Vector(elements=elements):
            return _write_call("vector", _write_elements(elements), parameter)
        case Integer() | Real():
            return _write_call("int" if isinstance(parameter, Integer) else "real", _write_range(parameter), parameter)
    raise TypeError(f"{parameter!r} has no native notation")


def _write_call(kind: str, parts: list[str], parameter: Parameter) -> str:
    if parameter.default is not MISSING:
        parts = [*parts, f"default={_write_choice(parameter.default)}"]
    if parameter.transform is not None:
        parts = [*parts, f"transform={conditions.write(parameter.transform)}"]
    return f"{kind}({', '.join(parts)})"


def _write_range(parameter: Integer | Real) -> list[str]:
    parts = [_write_number(parameter.low), _write_number(parameter.high)]
    if parameter.log:
        parts.append("log")
    if parameter.step is not None and not (isinstance(parameter, Integer) and parameter.step == 1):
        parts.append(f"step={_write_number(parameter.step)}")
    return parts if parameter.points is None else [*parts, f"n={parameter.points}"]


def _write_elements(elements: Sequence[Parameter]) -> list[str]:
    parts = [_write_kind(element) for element in elements]
    alike = len(parts) > 1 and len(set(parts)) == 1
    return [str(len(parts)), parts[0]] if alike else parts


def _write_number(number: float) -> str:
    exact = isinstance(number, float) and number.is_integer() and abs(number) < 1e15
    return repr(int(number)) if exact else repr(number)


def _write_choice(value: Any) -> str:
    """A list among other values stands in brackets; only alone in its line it would be choices."""
    return write_value(value, inside=isinstance(value, list | dict))
