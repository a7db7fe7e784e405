"""What R expressions without surprises come to: numbers, texts, vectors, lists; and functions as `Expression`.

Constants are computed as R computes them, in doubles, by walking the syntax; transformations and conditions are
translated into the closed language of `hpo.space.expressions`. Nothing is run.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from hpo.errors import did_you_mean
from hpo.inputfile.spaces.base import Mistake
from hpo.inputfile.spaces.r_syntax import Argument, Call, Function, Node, Number, Symbol, Text
from hpo.space import expressions
from hpo.space.expressions import FUNCTIONS, Expression, ExpressionError, Name, negated

#: The longest vector that seq() and its like may make, and how deep one variable may refer to another.
MAX_LENGTH = 1_000_000
MAX_REFERENCES = 50

Scalar: TypeAlias = bool | int | float | str | None


@dataclass(frozen=True, slots=True)
class Vector:
    """An atomic vector. Numbers are ints for R's integers, floats for its doubles; None is NA."""

    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class List:
    """A list of anything."""

    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Code:
    """An expression that is not evaluated: what quote() and expression() give, and functions."""

    node: Node


Value: TypeAlias = Vector | List | Code

NULL = List(())
_CONSTANTS: Mapping[str, Value] = {
    "TRUE": Vector((True,)), "T": Vector((True,)), "FALSE": Vector((False,)), "F": Vector((False,)),
    "NULL": NULL, "Inf": Vector((math.inf,)), "NaN": Vector((math.nan,)), "pi": Vector((math.pi,)),
    "NA": Vector((None,)), "NA_integer_": Vector((None,)), "NA_real_": Vector((None,)),
}  # fmt: skip
#: R's name -> ours, where they differ.
_FUNCTIONS = {
    "^": "**", "%%": "%", "%/%": "//", "ceiling": "ceil", "as.integer": "trunc", "is.na": "missing",
    "&": "and", "|": "or", "!": "not", "%in%": "in", "ifelse": "if", "c": "list", "identical": "==",
}  # fmt: skip
_SAME = ("as.numeric", "as.double", "identity", "return", "(", "isTRUE", "unlist", "as.vector")
_FORMALS: Mapping[str, Sequence[str]] = {
    "seq": ("from", "to", "by", "length.out", "along.with"),
    "rep": ("x", "times", "each"),
    "log": ("x", "base"),
    "round": ("x", "digits"),
    "signif": ("x", "digits"),
    "ifelse": ("test", "yes", "no"),
}


def match_arguments(formals: Sequence[str], arguments: Sequence[Argument], what: str, line: int) -> dict[str, Node]:
    """Return the arguments by parameter, as R matches them: by name, then by the beginning of a name, then by place.

    Empty arguments are left out. Raises `Mistake` for an argument that no parameter takes.
    """
    matched: dict[str, Node] = {}
    by_place: list[Node] = []
    for argument in arguments:
        if argument.value is None:
            continue
        if argument.name is None:
            by_place.append(argument.value)
            continue
        name = _formal(argument.name, formals, what, line)
        if name in matched:
            raise Mistake(f"{what}: the argument {name!r} is given twice", line)
        matched[name] = argument.value
    left = [formal for formal in formals if formal not in matched]
    if len(by_place) > len(left):
        raise Mistake(f"{what}: there are more arguments than its {len(formals)}", line)
    return matched | dict(zip(left, by_place, strict=False))


def _formal(name: str, formals: Sequence[str], what: str, line: int) -> str:
    if name in formals:
        return name
    begun = [formal for formal in formals if formal.startswith(name)]
    if len(begun) != 1:
        raise Mistake(f"{what} has no argument {name!r}.{did_you_mean(name, formals)}".removesuffix("."), line)
    return begun[0]


# --- constants --------------------------------------------------------------------------------------------------------


class Evaluator:
    """Evaluates constants; `variables` are the assignments that stand before, not evaluated yet."""

    def __init__(self, variables: Mapping[str, Node]) -> None:
        self._variables = variables
        self._references = 0

    def knows(self, name: str) -> bool:
        """Return whether a variable of this name is assigned before."""
        return name in self._variables

    def value(self, node: Node) -> Value:
        """Return what `node` comes to; raise `Mistake` for what is not understood."""
        match node:
            case Number(value=number, whole=whole):
                return Vector((int(number) if whole else number,))
            case Text(value=text):
                return Vector((text,))
            case Symbol():
                return self._variable(node)
            case Function():
                return Code(node)
            case Call():
                return self._call(node)
        raise Mistake("this R code is not understood", node.line)

    def vector(self, node: Node) -> tuple[Scalar, ...]:
        """Return the elements of a vector, or of a list of single values."""
        value = self.value(node)
        if isinstance(value, Code):
            raise Mistake("a value is expected here, not code", node.line)
        return _flat(value, node.line)

    def single(self, node: Node) -> Scalar:
        """Return the one element of a vector of length 1."""
        values = self.vector(node)
        if len(values) != 1:
            raise Mistake(f"one value is expected here, not {len(values)}", node.line)
        return values[0]

    def _variable(self, node: Symbol) -> Value:
        if node.name in self._variables:
            self._references += 1
            if self._references > MAX_REFERENCES:
                raise Mistake(f"{node.name!r} refers to too many other variables", node.line)
            value = self.value(self._variables[node.name])
            self._references -= 1
            return value
        if node.name in _CONSTANTS:
            return _CONSTANTS[node.name]
        right = node.name.upper()
        way = f"R writes {right}" if right in ("TRUE", "FALSE", "NULL") else "write the value, or put a text in quotes"
        raise Mistake(f"{node.name!r} has no value here; {way}", node.line)

    def _call(self, node: Call) -> Value:
        match node.function:
            case "quote" | "expression":
                for argument in node.arguments:
                    if argument.name not in (None, "expr"):
                        raise Mistake(f"{argument.name} = … assigns a value; compare with ==", node.line)
                return Code(_only(node))
            case "list":
                return List(tuple(self.value(a.value) for a in node.arguments if a.value is not None))
            case "c" | "unlist" | "as.vector":
                return _combined([self.value(a.value) for a in node.arguments if a.value is not None], node.line)
            case "as.character":
                return Vector(tuple(map(as_text, self.vector(_only(node)))))
            case "as.integer":
                return Vector(tuple(int(_number(v, node)) for v in self.vector(_only(node))))
            case ":":
                begin, end = (_number(self.single(a.value), node) for a in node.arguments if a.value is not None)
                return Vector(_from_to(begin, end, node.line))
            case "seq" | "seq.int" | "seq_len" | "seq.default":
                return Vector(self._seq(node))
            case "rep":
                return Vector(self._rep(node))
            case "rev":
                return Vector(self.vector(_only(node))[::-1])
        return self._computed(node)

    def _computed(self, node: Call) -> Value:
        """Arithmetic, by the functions of transformations."""
        if node.function in _SAME:
            return self.value(_only(node))
        function = _FUNCTIONS.get(node.function, node.function)
        if function not in FUNCTIONS or node.function == "is.na":
            raise Mistake(f"{node.function or 'this call'!r} is no function that is understood here", node.line)
        operands = [list(self.vector(argument)) for argument in _by_place(node)]
        # An R operation on integers alone is one on integers, but for / and ^.
        whole = node.function in ("+", "-", "*", "%%", "%/%") and all(
            isinstance(v, int) for operand in operands for v in operand
        )
        longest = max(map(len, operands), default=0)
        values = [operand[0] if len(operand) == 1 else operand for operand in operands]
        try:
            result = FUNCTIONS[function].apply(node.function, values)
        except ExpressionError as error:
            raise Mistake(str(error), node.line) from None
        results = result if isinstance(result, list) else [result]
        if longest == 0 or any(isinstance(v, str) for v in results):
            raise Mistake(f"{node.function!r} gives nothing here", node.line)
        return Vector(tuple(int(v) if whole and math.isfinite(v) else v for v in results))

    def _seq(self, node: Call) -> tuple[Scalar, ...]:
        given = match_arguments(_FORMALS["seq"], node.arguments, "seq", node.line)
        numbers = {name: _number(self.single(value), value) for name, value in given.items() if name != "along.with"}
        if "along.with" in given:
            return _from_to(1, len(self.vector(given["along.with"])), node.line)
        begin, end, by, count = (numbers.get(name) for name in ("from", "to", "by", "length.out"))
        if count is not None:
            return _spread(begin, end, by, math.ceil(count), node.line)
        if end is None:
            return _from_to(1, 1 if begin is None else begin, node.line)
        if by is None:
            return _from_to(1 if begin is None else begin, end, node.line)
        return _stepped(1 if begin is None else begin, end, by, node.line)

    def _rep(self, node: Call) -> tuple[Scalar, ...]:
        given = match_arguments(_FORMALS["rep"], node.arguments, "rep", node.line)
        values = self.vector(given["x"]) if "x" in given else ()
        each, times = (int(_number(self.single(given[n]), given[n])) if n in given else 1 for n in ("each", "times"))
        _check_length(len(values) * max(each, 0) * max(times, 0), node.line)
        return tuple(v for v in values for _ in range(each)) * times


def as_text(value: Scalar) -> str:
    """Return a value as R's as.character() writes it: 16, 0.1, 1e+05, TRUE."""
    if isinstance(value, bool):
        return str(value).upper()
    if not isinstance(value, float):
        return "NA" if value is None else str(value)
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Inf" if value > 0 else "-Inf"
    digits = next(d for d in range(1, 16) if d == 15 or float(f"{value:.{d - 1}e}") == value)
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    scientific = f"{mantissa}e{exponent}"
    fixed = f"{value:.{max(0, digits - 1 - int(exponent))}f}"
    return fixed if len(fixed) <= len(scientific) else scientific


def _only(node: Call) -> Node:
    values = [a.value for a in node.arguments if a.value is not None]
    if not values:
        raise Mistake(f"{node.function}() is empty", node.line)
    return values[0]


def _by_place(node: Call) -> list[Node]:
    """The arguments of a function of the language in their places."""
    formals = _FORMALS.get(node.function)
    if formals is None:
        return [a.value for a in node.arguments if a.value is not None and a.name != "na.rm"]
    given = match_arguments(formals, node.arguments, node.function, node.line)
    return [given[formal] for formal in formals if formal in given]


def _number(value: Scalar, node: Node) -> float:
    if value is None or isinstance(value, str) or not math.isfinite(value):
        raise Mistake(f"a finite number is expected here, not {as_text(value)}", node.line)
    return value


def _flat(value: Value, line: int) -> tuple[Scalar, ...]:
    if isinstance(value, Vector):
        return value.values
    if isinstance(value, Code):
        raise Mistake("a value is expected here, not code", line)
    return tuple(v for one in value.values for v in _flat(one, line))


def _combined(values: Sequence[Value], line: int) -> Value:
    """What c() makes of its arguments: a list when one is a list or code, else a vector of one type."""
    if any(not isinstance(value, Vector) for value in values if value != NULL):
        parts = (v.values if isinstance(v, List) else (v,) for v in values)
        return List(tuple(one for part in parts for one in part))
    flat = [v for value in values for v in _flat(value, line)]
    _check_length(len(flat), line)
    if any(isinstance(v, str) for v in flat):
        return Vector(tuple(v if isinstance(v, str) else as_text(v) for v in flat))
    if any(isinstance(v, float) for v in flat):
        return Vector(tuple(None if v is None else float(v) for v in flat))
    if any(isinstance(v, int) and not isinstance(v, bool) for v in flat):
        return Vector(tuple(None if v is None else int(v) for v in flat))
    return Vector(tuple(flat))


def _check_length(length: float, line: int) -> None:
    if not length <= MAX_LENGTH:
        raise Mistake(f"this makes more than {MAX_LENGTH} values", line)


def _from_to(begin: float, end: float, line: int) -> tuple[Scalar, ...]:
    _check_length(abs(end - begin) + 1, line)
    count = math.floor(abs(end - begin) + 1e-10) + 1
    sign = 1 if end >= begin else -1
    if float(begin).is_integer():
        return tuple(int(begin) + sign * i for i in range(count))
    return tuple(begin + sign * i for i in range(count))


def _stepped(begin: float, end: float, by: float, line: int) -> tuple[Scalar, ...]:
    """seq(from, to, by), as R's seq.default computes it."""
    if begin == end:
        return (begin,)
    if by == 0 or (end - begin) / by < 0:
        raise Mistake("seq: 'by' has the wrong sign", line)
    steps = (end - begin) / by
    _check_length(steps, line)
    limit = min if by > 0 else max
    values = (begin + i * by for i in range(math.floor(steps + 1e-10) + 1))
    return tuple(value if isinstance(value, int) else limit(value, end) for value in values)


def _spread(begin: float | None, end: float | None, by: float | None, count: int, line: int) -> tuple[Scalar, ...]:
    """seq(from, to, length.out = n), and with `by` in place of one of the ends."""
    _check_length(count, line)
    if by is not None or begin is None or end is None:
        step = 1 if by is None else by
        first = begin if begin is not None else 1 if end is None else end - (count - 1) * step
        return tuple(first + i * step for i in range(count))
    if count < 2:
        return (begin,) * max(count, 0)
    step = (end - begin) / (count - 1)
    return (begin, *(begin + i * step for i in range(1, count - 1)), end)


# --- code -------------------------------------------------------------------------------------------------------------


class Translator:
    """Translates R code into `Expression`; `names` stay names, other symbols are constants.

    fixed: names that have one value in all trials, for a message.
    """

    def __init__(self, names: Collection[str], evaluator: Evaluator, fixed: Collection[str] = ()) -> None:
        self._names = names
        self._fixed = fixed
        self._evaluator = evaluator

    def translate(self, node: Node, local: Mapping[str, Expression]) -> Expression:
        """Return the expression; `local` are the values of a function's own variables."""
        match node:
            case Symbol(name=name) if name in local:
                return local[name]
            case Symbol(name=name) if name in self._names:
                return Name(name)
            case Call(function="{"):
                return self._block(node, local)
            case Call(function="if") if len(node.arguments) != 3:
                raise Mistake("an if without else gives nothing in some cases", node.line)
            case Call(function="[" | "[["):
                return self._element(node, local)
            case Call() if node.function in _SAME:
                return self.translate(_only(node), local)
            case Call():
                return self._call(node, local)
            case Symbol(name=name) if name not in _CONSTANTS and not self._is_variable(name):
                if name in self._fixed:
                    raise Mistake(f"{name!r} is fixed, in &default_model; conditions read what is searched", node.line)
                hint = did_you_mean(name, self._names)
                raise Mistake(f"{name!r} is no parameter and has no value.{hint}".removesuffix("."), node.line)
        return self._constant(node)

    def function(self, node: Node, variable: str) -> Expression:
        """Return what a function of one argument gives, as an expression of `variable`."""
        if isinstance(node, Symbol):
            code = self._evaluator.value(node) if self._is_variable(node.name) else None
            if isinstance(code, Code):
                return self.function(code.node, variable)
            call = Call(node.name, (Argument(None, Symbol(variable, node.line)),), node.line)
            return self.translate(call, {variable: Name(variable)})
        if not isinstance(node, Function) or not node.parameters:
            raise Mistake("a transformation is a function of one argument, such as function(x) 10^x", node.line)
        local: dict[str, Expression] = {str(node.parameters[0].name): Name(variable)}
        for parameter in node.parameters[1:]:
            if parameter.value is not None and parameter.name is not None:
                local[parameter.name] = self.translate(parameter.value, local)
        return self.translate(node.body, local)

    def _is_variable(self, name: str) -> bool:
        return self._evaluator.knows(name)

    def _call(self, node: Call, local: Mapping[str, Expression]) -> Expression:
        function = _FUNCTIONS.get(node.function, node.function)
        arguments = tuple(self.translate(a, local) for a in _by_place(node))
        if node.function == "-" and len(arguments) == 1:
            return negated(arguments[0])
        if node.function == "+" and len(arguments) == 1:
            return arguments[0]
        if node.function == "<-":
            raise Mistake("this assigns a value; compare with ==", node.line)
        if function not in FUNCTIONS:
            what = node.function or "this call"
            raise Mistake(f"{what!r} is no function that is understood here.{did_you_mean(what, FUNCTIONS)}", node.line)
        try:
            return expressions.Call(function, arguments)
        except ExpressionError as error:
            raise Mistake(str(error), node.line) from None

    def _block(self, node: Call, local: Mapping[str, Expression]) -> Expression:
        """``{ y <- 10^x; round(y) }``: assignments are put in where they are read."""
        values = dict(local)
        result: Expression = None
        for statement in node.arguments:
            inner = statement.value
            if isinstance(inner, Call) and inner.function == "<-" and isinstance(inner.arguments[0].value, Symbol):
                result = self.translate(_second(inner), values)
                values[inner.arguments[0].value.name] = result
            elif inner is not None:
                result = self.translate(inner, values)
        if not node.arguments:
            raise Mistake("this function is empty", node.line)
        return result

    def _element(self, node: Call, local: Mapping[str, Expression]) -> Expression:
        index = self._evaluator.single(_second(node))
        if not isinstance(index, int | float) or index < 1:
            raise Mistake("an element is taken by its place, from 1", node.line)
        return expressions.Call("item", (self.translate(_only(node), local), int(index) - 1))

    def _constant(self, node: Node) -> Expression:
        values = [_tidy(value) for value in self._evaluator.vector(node)]
        return values[0] if len(values) == 1 else expressions.Call("list", tuple(values))


def _second(node: Call) -> Node:
    if len(node.arguments) < 2 or node.arguments[1].value is None:
        raise Mistake(f"{node.function!r} lacks a part", node.line)
    return node.arguments[1].value


def _tidy(value: Scalar) -> Scalar:
    if isinstance(value, float) and not math.isfinite(value):
        raise ExpressionError(f"{as_text(value)} has no place in a transformation or condition")
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) <= 2**53 else value
