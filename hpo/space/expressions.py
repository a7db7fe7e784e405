"""The closed language of transformations and conditions: small trees, evaluated by walking them.

A tree is a `Name`, a `Call` of one of `FUNCTIONS`, or a JSON scalar. Nothing else can be written, so nothing that a
user writes is ever run. Arithmetic is in floating point, as in R, hence no expression can take long: sizes are bounded
by `MAX_NODES` and `MAX_DEPTH`, numbers by what a double holds.

`MISSING` is the value of a parameter that is inactive in a trial; it spreads as R's `NA` does, so that a condition on
an inactive parameter does not hold, nor does its negation.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, TypeAlias

from hpo.space.texts import list_in_text

MAX_NODES = 1000
MAX_DEPTH = 60


class ExpressionError(ValueError):
    """An expression that cannot be built or has no value; the text is a sentence for the user."""


class Missing(Enum):
    """The type of `MISSING`."""

    MISSING = "missing"


MISSING: Final = Missing.MISSING


@dataclass(frozen=True, slots=True)
class Name:
    """The value of a parameter, or of the variable that a transformation is applied to."""

    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """A function of `FUNCTIONS` applied to arguments; its size is checked when it is made."""

    function: str
    arguments: tuple[Expression, ...]

    def __post_init__(self) -> None:
        function = FUNCTIONS.get(self.function)
        if function is None:
            raise ExpressionError(f"{self.function!r} is not a function of transformations and conditions")
        if not function.least <= len(self.arguments) <= function.most:
            raise ExpressionError(f"{self.function} does not take {len(self.arguments)} arguments")
        check_size(self)


Expression: TypeAlias = Name | Call | bool | int | float | str | None

#: The variable of a transformation: the value drawn from the range.
VARIABLE = "x"


def check_size(expression: Expression) -> None:
    """Raise `ExpressionError` when a tree is larger than `MAX_NODES` or deeper than `MAX_DEPTH`."""
    waiting: list[tuple[Expression, int]] = [(expression, 1)]
    nodes = 0
    while waiting:
        node, depth = waiting.pop()
        nodes += 1
        if nodes > MAX_NODES or depth > MAX_DEPTH:
            raise ExpressionError(f"the expression is too large (more than {MAX_NODES} terms or {MAX_DEPTH} levels)")
        if isinstance(node, Call):
            waiting.extend((argument, depth + 1) for argument in node.arguments)


def names_in(expression: Expression) -> Iterator[str]:
    """Yield the names that an expression reads, in order, repeated as they stand."""
    if isinstance(expression, Name):
        yield expression.name
    elif isinstance(expression, Call):
        for argument in expression.arguments:
            yield from names_in(argument)


def negated(operand: Expression) -> Expression:
    """Return minus the operand; a minus sign before a number belongs to the number."""
    if isinstance(operand, int | float) and not isinstance(operand, bool):
        return -operand
    return Call("-", (operand,))


def substitute(expression: Expression, values: Mapping[str, Expression]) -> Expression:
    """Return the expression with names replaced; names that `values` lacks stay."""
    if isinstance(expression, Name):
        return values.get(expression.name, expression)
    if isinstance(expression, Call):
        return Call(expression.function, tuple(substitute(a, values) for a in expression.arguments))
    return expression


def evaluate(expression: Expression, values: Mapping[str, Any]) -> Any:
    """Return the value of an expression: a number, truth value, text, list, or `MISSING`.

    Arithmetic on lists goes element by element, a single value beside a list being repeated. Raises `ExpressionError`
    for a name without a value and for operands that do not fit.
    """
    if isinstance(expression, Name):
        if expression.name not in values:
            raise ExpressionError(f"{expression.name!r} has no value here")
        return values[expression.name]
    if isinstance(expression, Call):
        function = FUNCTIONS[expression.function]
        return function.apply(expression.function, _arguments(expression, values))
    return expression


def _arguments(call: Call, values: Mapping[str, Any]) -> list[Any]:
    """The values of a call's arguments; of `and` and `or` none behind the one that decides, as in Python."""
    deciding = {"and": False, "or": True}.get(call.function)
    arguments = []
    for argument in call.arguments:
        arguments.append(evaluate(argument, values))
        if deciding is not None and arguments[-1] is not MISSING and _truth(arguments[-1]) is deciding:
            break
    return arguments


def holds(condition: Expression, values: Mapping[str, Any]) -> bool:
    """Return whether a condition is true; unknown (`MISSING`) is not. Raises `ExpressionError` as `evaluate` does."""
    result = evaluate(condition, values)
    return result is not MISSING and _truth(result)


def _truth(value: Any) -> bool:
    """A text or list is neither true nor false: who writes one alone has forgotten to compare it."""
    if isinstance(value, str | list | dict):
        raise ExpressionError(f"{value!r} is neither true nor false; compare with ==")
    return bool(value)


def is_whole(expression: Expression) -> bool:
    """Return whether an expression of a real variable always gives whole numbers, such as ``round(2**x)``."""
    if isinstance(expression, Call):
        if expression.function == "round":
            return len(expression.arguments) == 1
        if expression.function in ("+", "-", "*", "max", "min", "abs"):
            return all(is_whole(argument) for argument in expression.arguments)
        return expression.function in ("floor", "ceil", "trunc", "//", "sign", "length")
    return isinstance(expression, int)


# --- the functions ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Function:
    """One function of the language: how many arguments it takes, and what it does to a list of values."""

    least: int
    most: int
    apply: Callable[[str, list[Any]], Any]


def _each(function: Callable[..., Any]) -> Callable[[str, list[Any]], Any]:
    """Apply to single values, or element by element where there are lists; MISSING spreads."""

    def apply(name: str, arguments: list[Any]) -> Any:
        if MISSING in arguments:
            return MISSING
        lengths = {len(a) for a in arguments if isinstance(a, list)}
        if not lengths:
            return _single(name, function, arguments)
        if len(lengths) > 1:
            raise ExpressionError(f"{name}: lists of {' and '.join(map(str, sorted(lengths)))} values do not fit")
        count = lengths.pop()
        rows = zip(*(a if isinstance(a, list) else [a] * count for a in arguments), strict=True)
        return [_single(name, function, list(row)) for row in rows]

    return apply


def _single(name: str, function: Callable[..., Any], arguments: list[Any]) -> Any:
    numbers = [_number(name, a) for a in arguments]
    try:
        return function(*numbers)
    except OverflowError:
        return math.inf
    except (ValueError, ZeroDivisionError):
        return math.nan


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool | int | float):
        return float(value)
    raise ExpressionError(f"{name} needs numbers, not {value!r}")


def _over(function: Callable[[list[float]], Any]) -> Callable[[str, list[Any]], Any]:
    """Apply to all values of all arguments together, as R's `max` and `sum` do."""

    def apply(name: str, arguments: list[Any]) -> Any:
        if MISSING in arguments:
            return MISSING
        flat = [_number(name, v) for a in arguments for v in (a if isinstance(a, list) else [a])]
        return function(flat) if flat else math.nan

    return apply


def _power(base: float, exponent: float) -> float:
    # R squares by multiplication, which differs from pow() in the last digit.
    return base * base if exponent == 2 else math.pow(base, exponent)


def _divide(a: float, b: float) -> float:
    if b == 0:
        return math.nan if a == 0 or math.isnan(a) else math.copysign(math.inf, a) * math.copysign(1.0, b)
    return a / b


def _log(x: float, base: float = math.e) -> float:
    if x == 0:
        return -math.inf
    if base in (2, 10):
        return math.log2(x) if base == 2 else math.log10(x)
    return math.log(x) if base == math.e else math.log(x) / math.log(base)


def _round(x: float, digits: float = 0) -> float:
    """Round as R >= 4.0.0 does: to the nearer of the two neighbouring decimals, on a tie to the even one."""
    places = math.floor(digits + 0.5)
    if not math.isfinite(x) or x == 0:
        return x
    if places == 0:
        return float(round(x))
    if places + math.ceil(-math.log10(abs(x))) > 15 or places > 308:
        return x
    scale = 10.0 ** abs(places)
    size = abs(x)
    scaled = size * scale if places > 0 else size / scale
    below, above = (f(scaled) / scale if places > 0 else f(scaled) * scale for f in (math.floor, math.ceil))
    to_below, to_above = size - below, above - size
    down = to_below < to_above or (to_below == to_above and math.floor(scaled) % 2 == 0)
    return math.copysign(below if down else above, x)


def _signif(x: float, digits: float = 6) -> float:
    """Keep so many significant digits, as R does."""
    if not math.isfinite(x) or x == 0:
        return x
    shift = max(1, math.floor(digits + 0.5)) - 1 - math.floor(math.log10(abs(x)))
    if shift > 300:
        return x
    scale = 10.0 ** abs(shift)
    return round(x * scale) / scale if shift > 0 else round(x / scale) * scale


def _sign(x: float) -> float:
    return float((x > 0) - (x < 0))


def _floor(x: float) -> float:
    return float(math.floor(x)) if math.isfinite(x) else x


def _ceil(x: float) -> float:
    return float(math.ceil(x)) if math.isfinite(x) else x


def _trunc(x: float) -> float:
    return float(math.trunc(x)) if math.isfinite(x) else x


def _compared(compare: Callable[[Any, Any], bool]) -> Callable[[str, list[Any]], Any]:
    def apply(name: str, arguments: list[Any]) -> Any:
        left, right = arguments
        if left is MISSING or right is MISSING:
            return MISSING
        try:
            return bool(compare(left, right))
        except TypeError:
            raise ExpressionError(f"{left!r} {name} {right!r} cannot be compared") from None

    return apply


def equal(left: Any, right: Any) -> bool:
    """Return whether two values are equal; a number equals its own text, a list the text it was read from."""
    if isinstance(left, str) != isinstance(right, str):
        text, other = (left, right) if isinstance(left, str) else (right, left)
        if isinstance(other, list):
            return list_in_text(text) == other
        return not isinstance(other, bool) and isinstance(other, int | float) and text == repr(other)
    return bool(left == right)


def _and(_name: str, arguments: list[Any]) -> Any:
    if any(a is not MISSING and not _truth(a) for a in arguments):
        return False
    return MISSING if MISSING in arguments else True


def _or(_name: str, arguments: list[Any]) -> Any:
    if any(a is not MISSING and _truth(a) for a in arguments):
        return True
    return MISSING if MISSING in arguments else False


def _not(_name: str, arguments: list[Any]) -> Any:
    return MISSING if arguments[0] is MISSING else not _truth(arguments[0])


def _in(_name: str, arguments: list[Any]) -> Any:
    value, among = arguments
    if value is MISSING or among is MISSING:
        return MISSING
    return any(equal(value, one) for one in (among if isinstance(among, list) else [among]))


def _if(_name: str, arguments: list[Any]) -> Any:
    condition, yes, no = arguments
    return MISSING if condition is MISSING else yes if _truth(condition) else no


def _list(_name: str, arguments: list[Any]) -> Any:
    return [v for a in arguments for v in (a if isinstance(a, list) else [a])]


def _item(_name: str, arguments: list[Any]) -> Any:
    values, index = arguments
    if not isinstance(values, list) or not isinstance(index, int) or not 0 <= index < len(values):
        raise ExpressionError(f"there is no element {index!r}, counted from 0")
    return values[index]


def _missing(_name: str, arguments: list[Any]) -> bool:
    return arguments[0] is MISSING


#: The whole language. Operators are named as Python writes them; every entry means the same in R and in native form.
FUNCTIONS: Mapping[str, Function] = {
    "+": Function(1, 2, _each(lambda a, b=None: a if b is None else a + b)),
    "-": Function(1, 2, _each(lambda a, b=None: -a if b is None else a - b)),
    "*": Function(2, 2, _each(operator.mul)),
    "/": Function(2, 2, _each(_divide)),
    "**": Function(2, 2, _each(_power)),
    "%": Function(2, 2, _each(operator.mod)),
    "//": Function(2, 2, _each(operator.floordiv)),
    "exp": Function(1, 1, _each(math.exp)),
    "expm1": Function(1, 1, _each(math.expm1)),
    "log": Function(1, 2, _each(_log)),
    "log2": Function(1, 1, _each(lambda x: _log(x, 2))),
    "log10": Function(1, 1, _each(lambda x: _log(x, 10))),
    "log1p": Function(1, 1, _each(math.log1p)),
    "sqrt": Function(1, 1, _each(math.sqrt)),
    "sin": Function(1, 1, _each(math.sin)),
    "cos": Function(1, 1, _each(math.cos)),
    "tan": Function(1, 1, _each(math.tan)),
    "tanh": Function(1, 1, _each(math.tanh)),
    "abs": Function(1, 1, _each(abs)),
    "sign": Function(1, 1, _each(_sign)),
    "round": Function(1, 2, _each(_round)),
    "signif": Function(1, 2, _each(_signif)),
    "floor": Function(1, 1, _each(_floor)),
    "ceil": Function(1, 1, _each(_ceil)),
    "trunc": Function(1, 1, _each(_trunc)),
    "min": Function(1, 100, _over(min)),
    "max": Function(1, 100, _over(max)),
    "sum": Function(1, 100, _over(math.fsum)),
    "prod": Function(1, 100, _over(math.prod)),
    "mean": Function(1, 1, _over(lambda v: math.fsum(v) / len(v))),
    "length": Function(1, 1, lambda _n, a: len(a[0]) if isinstance(a[0], list) else 1),
    "list": Function(0, 1000, _list),
    "item": Function(2, 2, _item),
    "==": Function(2, 2, _compared(equal)),
    "!=": Function(2, 2, _compared(lambda a, b: not equal(a, b))),
    "<": Function(2, 2, _compared(operator.lt)),
    "<=": Function(2, 2, _compared(operator.le)),
    ">": Function(2, 2, _compared(operator.gt)),
    ">=": Function(2, 2, _compared(operator.ge)),
    "in": Function(2, 2, _in),
    "and": Function(2, 100, _and),
    "or": Function(2, 100, _or),
    "not": Function(1, 1, _not),
    "if": Function(3, 3, _if),
    "missing": Function(1, 1, _missing),
}


# --- JSON -------------------------------------------------------------------------------------------------------------


def to_json(expression: Expression) -> Any:
    """Return the tree as JSON: a call is ``[function, argument, …]``, a name ``{"name": …}``."""
    if isinstance(expression, Name):
        return {"name": expression.name}
    if isinstance(expression, Call):
        return [expression.function, *map(to_json, expression.arguments)]
    return expression


def from_json(tree: Any) -> Expression:
    """Return the tree that `to_json` wrote."""
    if isinstance(tree, dict):
        return Name(tree["name"])
    if isinstance(tree, list):
        return Call(tree[0], tuple(map(from_json, tree[1:])))
    if tree is None or isinstance(tree, bool | int | float | str):
        return tree
    raise ExpressionError(f"{tree!r} is no expression")
