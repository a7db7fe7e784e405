"""R ParamHelpers: ``makeParamSet(makeNumericParam("lr", lower = 1e-5, upper = 0.1), …)``, in a file or in a section.

In a section the calls may stand one per line, without makeParamSet and with or without commas. What the constructors
mean is that of ParamHelpers 1.14; a discrete parameter gives the model its value, not its name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hpo.errors import did_you_mean
from hpo.inputfile.spaces.base import Builder, Mistake, Source
from hpo.inputfile.spaces.r_syntax import Argument, Call, Node, Parser, Symbol, Token, tokenize
from hpo.inputfile.spaces.r_values import Code, Evaluator, Translator, Vector, match_arguments
from hpo.inputfile.spaces.r_values import List as RList
from hpo.inputfile.spaces.r_values import Value as RValue
from hpo.space import Categorical, Constant, Integer, Parameter, ParameterSpace, Real
from hpo.space import Vector as VectorParameter
from hpo.space.expressions import MISSING, VARIABLE

#: No parameter set is larger; a file beyond it is something else.
MAX_CHARACTERS = 5_000_000
MAX_VECTOR = 10_000

_CALL = re.compile(r"^[^\S\n]*(?:[\w.]+\s*(?:<<?-|=|<)\s*)?(?:ParamHelpers\s*::\s*)?make[A-Z]\w*\s*\(", re.MULTILINE)
_SET = "makeParamSet"
#: The variables in which CANDLE and mlr look for the set, where a file makes several.
_SET_NAMES = ("param.set", "par.set", "params", "ps")

_COMMON = ("requires", "tunable", "special.vals")


@dataclass(frozen=True, slots=True)
class _Constructor:
    """formals: its parameters, in order. make: the parameter from what was given; None has nothing to search."""

    formals: tuple[str, ...]
    make: Callable[[_Arguments], Parameter] | None


def matches(source: Source) -> bool:
    """Return whether the file is one of R, or a line calls a constructor."""
    return (source.file.suffix.lower() == ".r" and source.first_line == 1) or _CALL.search(source.text) is not None


def read(source: Source) -> ParameterSpace | None:
    """Return the space; mistakes are reported with their lines."""
    builder = Builder(source)
    if len(source.text) > MAX_CHARACTERS:
        builder.fail(f"this is no parameter set: it has more than {MAX_CHARACTERS // 1_000_000} million characters")
        return None
    try:
        calls, variables = _calls(tokenize(source.text), builder)
    except Mistake as mistake:
        builder.fail(str(mistake), mistake.line)
        return None
    evaluator = Evaluator(variables)
    names = [name for name in (_name_of(call, evaluator) for call in calls) if name is not None]
    translator = Translator(names, evaluator, builder.source.fixed)
    for call in calls:
        builder.add(call.line, lambda call=call: _parameter(call, evaluator, translator, builder))  # type: ignore[misc]
    return builder.space()


# --- finding the calls ------------------------------------------------------------------------------------------------


def _calls(tokens: Sequence[Token], builder: Builder) -> tuple[list[Call], Mapping[str, Node]]:
    """Return the calls that make the parameters, and the variables that are assigned before them."""
    sets = _outermost(tokens, _SET)
    if not sets:
        return _calls_in_lines(tokens, builder), _assignments(tokens)
    place = _chosen(tokens, sets)
    variables = _assignments(tokens[:place])
    return list(_members(Parser(tokens, place).expression(_ABOVE_COMPARISON), variables)), variables


#: A set is parsed from its own name on, whatever operator stands before it (``param.set < makeParamSet(…)``).
_ABOVE_COMPARISON = 17


def _calls_in_lines(tokens: Sequence[Token], builder: Builder) -> list[Call]:
    """Return the calls of constructors that stand alone; each mistake is reported, the other calls are still read."""
    calls = []
    for place in _outermost(tokens, "make"):
        try:
            node = Parser(tokens, place).expression(_ABOVE_COMPARISON)
        except Mistake as mistake:
            builder.fail(str(mistake), mistake.line)
        else:
            calls += [node] if isinstance(node, Call) else []
    return calls


def _outermost(tokens: Sequence[Token], beginning: str) -> list[int]:
    """Return where functions whose name begins so are called, but not within the parentheses of such a call."""
    places: list[int] = []
    within = -1  # the depth of the call in whose parentheses we are
    for i, token in enumerate(tokens):
        if within >= 0 and token.depth <= within and i > places[-1] + 1:
            within = -1
        called = token.kind == "name" and tokens[i + 1].text == "(" and tokens[i + 1].kind == "operator"
        if within < 0 and called and token.text.startswith(beginning):
            places.append(i)
            within = token.depth
    return places


def _chosen(tokens: Sequence[Token], places: Sequence[int]) -> int:
    """Return where the set that counts begins: the only one, or the last that is assigned to a known name."""
    assigned = _places_of_assignments(tokens)
    for name in _SET_NAMES:
        if name in assigned and tokens[assigned[name]].text in (_SET, "c"):
            return assigned[name]
    if len(places) == 1:
        return places[0]
    what = f"there are {len(places)} parameter sets; assign the one to use to param.set"
    raise Mistake(what, tokens[places[1]].line)


def _places_of_assignments(tokens: Sequence[Token]) -> dict[str, int]:
    """Return where the values of top-level assignments ``name <- value`` begin; the last one counts."""
    places: dict[str, int] = {}
    for i, token in enumerate(tokens[:-2]):
        begins = i == 0 or tokens[i - 1].text in ("\n", ";")
        if begins and token.kind == "name" and token.depth == 0 and tokens[i + 1].text in ("<-", "=", "<<-"):
            places[token.text] = i + 2 + (tokens[i + 2].kind == "newline")
    return places


def _assignments(tokens: Sequence[Token]) -> dict[str, Node]:
    """Return the variables that are assigned at top level; what cannot be parsed is other R code."""
    ended = [*tokens, Token("end", "the end", tokens[-1].line if tokens else 1, 0)]
    variables: dict[str, Node] = {}
    for name, place in _places_of_assignments(ended).items():
        try:
            variables[name] = Parser(ended, place).expression()
        except Mistake:
            continue
    return variables


def _members(node: Node | None, variables: Mapping[str, Node], depth: int = 0) -> Iterator[Call]:
    """Yield the constructors' calls of a set, also of sets put together and of parameters in variables."""
    if node is None or depth > 20:
        return
    if isinstance(node, Symbol) and node.name in variables:
        yield from _members(variables[node.name], variables, depth + 1)
    elif isinstance(node, Symbol) and node.name == "NULL":
        return
    elif isinstance(node, Call) and node.function in (_SET, "c", "list"):
        for argument in node.arguments:
            if argument.name in ("forbidden", "keys") and argument.value is not None:
                _refuse(argument, node.line)
            else:
                yield from _members(argument.value, variables, depth + 1)
    elif isinstance(node, Call):
        yield node
    else:
        raise Mistake("a parameter set has calls such as makeNumericParam(…) only", node.line)


def _refuse(argument: Argument, line: int) -> None:
    if argument.name == "forbidden" and not (isinstance(argument.value, Symbol) and argument.value.name == "NULL"):
        raise Mistake("'forbidden' is not read; write 'requires' at the parameter, or list the points", line)


# --- parameters -------------------------------------------------------------------------------------------------------


class _Arguments:
    """The arguments of one constructor, evaluated when they are asked for."""

    def __init__(self, call: Call, evaluator: Evaluator, translator: Translator, builder: Builder) -> None:
        self.call = call
        self.builder = builder
        self._evaluator = evaluator
        self._translator = translator
        self._given = match_arguments(_CONSTRUCTORS[call.function].formals, call.arguments, call.function, call.line)
        name = self.value("id")
        if not isinstance(name, str):
            raise Mistake(f"{call.function}: the first argument is the parameter's name, a text", call.line)
        self.name = name

    def __contains__(self, argument: str) -> bool:
        return argument in self._given

    def value(self, argument: str) -> Any:
        """Return a single value, None where it was not given."""
        return self._plain(self._evaluator.single, argument) if argument in self else None

    def values(self, argument: str) -> list[Any]:
        """Return the elements of an argument: values of JSON's types, lists for elements that are vectors."""
        return self._plain(self._elements, argument) if argument in self else []

    def options(self) -> dict[str, Any]:
        """Return what every kind has: condition, transformation, default."""
        options: dict[str, Any] = {}
        if self._is_given("requires"):
            options["condition"] = self._plain(self._condition, "requires")
        if self._is_given("trafo"):
            options["transform"] = self._plain(lambda node: self._translator.function(node, VARIABLE), "trafo")
        return options

    def default(self, admits: Callable[[Any], bool]) -> Any:
        """Return the default, or `MISSING` where it is code or a special value beside the range."""
        if "default" not in self or isinstance(self._evaluator.value(self._given["default"]), Code):
            return MISSING
        values = self.values("default")
        default = values[0] if len(values) == 1 and "len" not in self else values
        return MISSING if "special.vals" in self and not admits(default) else default

    def _is_given(self, argument: str) -> bool:
        node = self._given.get(argument)
        return node is not None and not (isinstance(node, Symbol) and node.name == "NULL")

    def _plain(self, read: Callable[[Node], Any], argument: str) -> Any:
        """Read an argument; a mistake in it names the parameter."""
        try:
            return read(self._given[argument])
        except Mistake as mistake:
            what = f"{getattr(self, 'name', self.call.function)!r}, {argument}"
            raise Mistake(f"{what}: {mistake}", mistake.line) from None

    def _elements(self, node: Node) -> list[Any]:
        value = self._evaluator.value(node)
        if isinstance(value, Code):
            raise Mistake("values are expected here, not code", node.line)
        if isinstance(value, Vector):
            return _vector(value)
        return [_one(element, node.line) for element in value.values]

    def _condition(self, node: Node) -> Any:
        value = self._evaluator.value(node)
        if not isinstance(value, Code):
            raise Mistake('a condition is written as quote(kernel == "radial")', node.line)
        return self._translator.translate(value.node, {})


def _vector(vector: Vector) -> list[Any]:
    """The elements as JSON has them: doubles that are all whole are integers, as in R's own JSON."""
    numbers = [v for v in vector.values if isinstance(v, float)]
    whole = all(math.isfinite(v) and v.is_integer() and abs(v) <= 2**53 for v in numbers)
    return [int(v) if whole and isinstance(v, float) else v for v in vector.values]


def _one(value: RValue, line: int) -> Any:
    """One element of a list: a single value, or a list of several."""
    if isinstance(value, Code):
        raise Mistake("a value of a parameter is a number, text, truth value or list, not code", line)
    if isinstance(value, RList):
        return [_one(element, line) for element in value.values] or None
    values = _vector(value)
    return values[0] if len(values) == 1 else values


def _parameter(call: Call, evaluator: Evaluator, translator: Translator, builder: Builder) -> Parameter:
    constructor = _CONSTRUCTORS.get(call.function)
    if constructor is None:
        what = call.function or "this"
        raise Mistake(f"{what!r} makes no parameter.{did_you_mean(what, _CONSTRUCTORS)}", call.line)
    arguments = _Arguments(call, evaluator, translator, builder)
    if constructor.make is None:
        raise Mistake(f"{arguments.name!r}: {call.function} has no values to search; list them in makeDiscreteParam")
    return constructor.make(arguments)


def _name_of(call: Call, evaluator: Evaluator) -> str | None:
    """The name of a parameter, for the conditions of others; mistakes are reported elsewhere."""
    try:
        given = match_arguments(_CONSTRUCTORS[call.function].formals, call.arguments, "", call.line)
        name = evaluator.single(given["id"])
    except (Mistake, KeyError, RecursionError):
        return None
    return name if isinstance(name, str) else None


def _discrete(arguments: _Arguments) -> Parameter:
    values = arguments.builder.distinct(arguments.name, arguments.values("values"), arguments.call.line)
    options = arguments.options()
    default = arguments.default(Categorical(arguments.name, values).admits)
    return Categorical(arguments.name, values, default=default, **options)


def _logical(arguments: _Arguments) -> Parameter:
    default = arguments.default(lambda value: isinstance(value, bool))
    return Categorical(arguments.name, [True, False], default=default, **arguments.options())


def _numeric(arguments: _Arguments, kind: type[Integer] | type[Real]) -> Parameter:
    low, high = (_bound(arguments, which, arguments.value(which), kind) for which in ("lower", "upper"))
    options = arguments.options()
    plain = kind(arguments.name, low, high, **options)
    if low == high:
        constant = plain.finish(plain.drawn(0))
        return Constant(arguments.name, constant, condition=options.get("condition"))
    return kind(arguments.name, low, high, default=arguments.default(plain.admits), **options)


def _bound(arguments: _Arguments, which: str, value: Any, kind: type[Integer] | type[Real]) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Mistake(
            f"{arguments.name!r} has no {which} bound"
            if value is None
            else f"{arguments.name!r}: {which} is a number, not {value!r}"
        )
    if not math.isfinite(value):
        raise Mistake(f"{arguments.name!r} has no finite {which} bound; give it lower and upper")
    if kind is Integer:
        if float(value) != int(value):
            raise Mistake(f"{arguments.name!r}: {which} is a whole number, not {value!r}")
        return int(value)
    return value


def _of_vector(arguments: _Arguments, elements: Callable[[int], list[Parameter]]) -> Parameter:
    length = arguments.value("len")
    whole = isinstance(length, int | float) and float(length).is_integer()
    if not whole or not 1 <= length <= MAX_VECTOR:
        raise Mistake(f"{arguments.name!r}: len is a whole number from 1 to {MAX_VECTOR}, not {length!r}")
    plain = VectorParameter(arguments.name, elements(int(length)), **arguments.options())
    default = arguments.default(plain.admits)
    return VectorParameter(arguments.name, plain.elements, default=default, **arguments.options())


def _numeric_vector(arguments: _Arguments, kind: type[Integer] | type[Real]) -> Parameter:
    def elements(length: int) -> list[Parameter]:
        bounds = []
        for which in ("lower", "upper"):
            values = arguments.values(which) or [None]
            if len(values) not in (1, length):
                raise Mistake(f"{arguments.name!r}: {which} has 1 or {length} values, not {len(values)}")
            bounds.append([_bound(arguments, which, v, kind) for v in values] * (length // len(values)))
        return [kind("", low, high) for low, high in zip(*bounds, strict=True)]

    return _of_vector(arguments, elements)


def _discrete_vector(arguments: _Arguments) -> Parameter:
    values = arguments.builder.distinct(arguments.name, arguments.values("values"), arguments.call.line)
    return _of_vector(arguments, lambda length: [Categorical("", values)] * length)


def _logical_vector(arguments: _Arguments) -> Parameter:
    return _of_vector(arguments, lambda length: [Categorical("", [True, False])] * length)


def _integer(arguments: _Arguments) -> Parameter:
    return _numeric(arguments, Integer)


def _real(arguments: _Arguments) -> Parameter:
    return _numeric(arguments, Real)


def _integer_vector(arguments: _Arguments) -> Parameter:
    return _numeric_vector(arguments, Integer)


def _real_vector(arguments: _Arguments) -> Parameter:
    return _numeric_vector(arguments, Real)


_BOUNDS = ("lower", "upper")
_VECTOR = ("len", *_BOUNDS)
_LEARNER = ("default", "when", *_COMMON)
_TRAFO = ("default", "trafo", *_COMMON)

#: Every constructor with its formal parameters in R's order.
_CONSTRUCTORS: Mapping[str, _Constructor] = {
    "makeNumericParam": _Constructor(("id", *_BOUNDS, "allow.inf", *_TRAFO), _real),
    "makeNumericVectorParam": _Constructor(("id", *_VECTOR, "cnames", "allow.inf", *_TRAFO), _real_vector),
    "makeIntegerParam": _Constructor(("id", *_BOUNDS, *_TRAFO), _integer),
    "makeIntegerVectorParam": _Constructor(("id", *_VECTOR, "cnames", *_TRAFO), _integer_vector),
    "makeLogicalParam": _Constructor(("id", "default", *_COMMON), _logical),
    "makeLogicalVectorParam": _Constructor(("id", "len", "cnames", "default", *_COMMON), _logical_vector),
    "makeDiscreteParam": _Constructor(("id", "values", "trafo", "default", *_COMMON), _discrete),
    "makeDiscreteVectorParam": _Constructor(("id", "len", "values", "trafo", "default", *_COMMON), _discrete_vector),
    "makeNumericLearnerParam": _Constructor(("id", *_BOUNDS, "allow.inf", *_LEARNER), _real),
    "makeNumericVectorLearnerParam": _Constructor(("id", *_VECTOR, "allow.inf", *_LEARNER), _real_vector),
    "makeIntegerLearnerParam": _Constructor(("id", *_BOUNDS, *_LEARNER), _integer),
    "makeIntegerVectorLearnerParam": _Constructor(("id", *_VECTOR, *_LEARNER), _integer_vector),
    "makeLogicalLearnerParam": _Constructor(("id", *_LEARNER), _logical),
    "makeLogicalVectorLearnerParam": _Constructor(("id", "len", *_LEARNER), _logical_vector),
    "makeDiscreteLearnerParam": _Constructor(("id", "values", *_LEARNER), _discrete),
    "makeDiscreteVectorLearnerParam": _Constructor(("id", "len", "values", *_LEARNER), _discrete_vector),
    "makeCharacterParam": _Constructor(("id", "default", "requires", "special.vals"), None),
    "makeCharacterVectorParam": _Constructor(("id", "len", "cnames", "default", "requires", "special.vals"), None),
    "makeFunctionParam": _Constructor(("id", "default", "requires", "special.vals"), None),
    "makeFunctionLearnerParam": _Constructor(("id", *_LEARNER), None),
    "makeUntypedParam": _Constructor(("id", "default", *_COMMON), None),
    "makeUntypedLearnerParam": _Constructor(("id", *_LEARNER), None),
}


def as_points(parameter: Parameter) -> str:
    """Return how a range of reals is written as a list, for a message."""
    low, high = (parameter.low, parameter.high) if isinstance(parameter, Real) else (0.0, 1.0)
    return f'makeDiscreteParam("{parameter.name}", values = seq({low!r}, {high!r}, length.out = 5))'
