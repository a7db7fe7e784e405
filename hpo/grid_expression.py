"""The arguments of `generate-grid`: ``['epochs', np.arange(2, 11, 2)]`` -> a name and its values.

An argument is Python in looks only. Its syntax tree is walked node by node: literals, arithmetic, comprehensions, and
the NumPy functions of `FUNCTIONS`. Nothing else is understood, nothing is ever compiled or called by name, and sizes
are bounded before anything is computed.
"""

from __future__ import annotations

import ast
import math
import operator
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hpo.errors import did_you_mean

#: The longest list, the largest whole number (in bits), and the most steps of evaluation.
MAX_VALUES = 1_000_000
MAX_BITS = 1024
MAX_STEPS = 4_000_000
_MAX_LENGTH = 1_000_000

_CURLY = str.maketrans("“”„‟‘’‚‛", '"' * 4 + "'" * 4)


class GridError(ValueError):
    """An argument that is not understood; the text is a sentence for the user."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One hyperparameter of a grid: its name and its values, all of JSON's types."""

    name: str
    values: tuple[Any, ...]


def parse_axis(text: str) -> Axis:
    """Return the name and the values of one argument; raise `GridError` with a sentence otherwise."""
    tree = _parsed(text)
    if not isinstance(tree, ast.List | ast.Tuple) or len(tree.elts) != 2:
        raise GridError(f"{_short(text)} is not of the form \"['name', values]\"")
    name = _name(tree.elts[0])
    result = _Walker().value(tree.elts[1])
    _check_length(_size(result))
    value = json_value(result)
    values = value if isinstance(value, list) else [value]
    if not values:
        raise GridError(f"{name!r} has no values")
    return Axis(name, tuple(values))


def json_value(value: Any) -> Any:
    """Return a value in JSON's types: arrays and tuples are lists, numbers keep being whole or not."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple | range):
        return [json_value(one) for one in value]
    if isinstance(value, dict):
        return {_key(key): json_value(one) for key, one in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        raise GridError(f"{value} is no number that JSON has")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise GridError(f"{_short(repr(value))} is no value that JSON has")


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise GridError(f"the key {key!r} of a dictionary is a text in JSON")
    return key


def _parsed(text: str) -> ast.expr:
    if len(text) > _MAX_LENGTH:
        raise GridError(f"it has more than {_MAX_LENGTH} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text.strip().translate(_CURLY), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        reason = getattr(error, "msg", "") or "it cannot be read"
        raise GridError(f"{_short(text)} is not understood: {reason}") from None


def _name(node: ast.expr) -> str:
    """The name, in quotes, or without them where the shell has eaten them."""
    match node:
        case ast.Constant(value=str(name)) | ast.Name(id=name) if name and name != "id":
            return name
        case ast.Constant(value="id") | ast.Name(id="id"):
            raise GridError("'id' is no hyperparameter: every row has an id of its own")
    raise GridError(f"{_short(ast.unparse(node))} is no name; write it in quotes, as in \"['epochs', [2, 4]]\"")


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 60 else text[:59] + "…"


# --- walking ----------------------------------------------------------------------------------------------------------


class _Walker:
    """Evaluates one syntax tree, counting its steps."""

    def __init__(self) -> None:
        self._steps = 0
        self._local: dict[str, Any] = {}

    def value(self, node: ast.expr) -> Any:
        """Return the value of a node."""
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise GridError("this takes too long to compute")
        handler = _NODES.get(type(node))
        if handler is None:
            raise GridError(f"{_short(ast.unparse(node))} has no place here; {_UNDERSTOOD}")
        try:
            result = handler(self, node)
            # A list costs as many steps as it has elements, so that memory is bounded, too.
            self._steps += len(result) if isinstance(result, str | list) else getattr(result, "size", 0)
            return result
        except (TypeError, ValueError, ArithmeticError, AttributeError, IndexError, RecursionError) as error:
            if isinstance(error, GridError):
                raise
            raise GridError(f"{_short(ast.unparse(node))}: {error}") from None

    def constant(self, node: ast.Constant) -> Any:
        """Numbers, texts, True, False, None."""
        if node.value is None or isinstance(node.value, bool | int | float | str):
            return node.value
        raise GridError(f"{_short(ast.unparse(node))} is no value that JSON has")

    def name(self, node: ast.Name) -> Any:
        """A variable of a comprehension."""
        if node.id not in self._local:
            raise GridError(f"{node.id!r} has no value; a text stands in quotes")
        return self._local[node.id]

    def attribute(self, node: ast.Attribute) -> Any:
        """`np.pi` and the like, and the types that `dtype=` takes."""
        name = _numpy_name(node) or ""
        if name in _NUMBERS:
            return _NUMBERS[name]
        raise GridError(f"{_short(ast.unparse(node))} is no number.{did_you_mean(name, _NUMBERS)}")

    def sequence(self, node: ast.List | ast.Tuple | ast.Set) -> list[Any]:
        """A list; ``*values`` in it are put in."""
        values: list[Any] = []
        for element in node.elts:
            if isinstance(element, ast.Starred):
                values.extend(_items(self.value(element.value)))
            else:
                values.append(self.value(element))
            _check_length(len(values))
        return values

    def dictionary(self, node: ast.Dict) -> dict[Any, Any]:
        """A dictionary."""
        if None in node.keys:
            raise GridError("** has no place in a dictionary here")
        return {self.value(k): self.value(v) for k, v in zip(node.keys, node.values, strict=True) if k is not None}

    def unary(self, node: ast.UnaryOp) -> Any:
        """A sign, or `not`."""
        operand = self.value(node.operand)
        match node.op:
            case ast.USub():
                return -operand
            case ast.UAdd():
                return +operand
            case ast.Not():
                return not operand
        raise GridError(f"{_short(ast.unparse(node))} has no place here; {_UNDERSTOOD}")

    def binary(self, node: ast.BinOp) -> Any:
        """Arithmetic on numbers, arrays and, for + and *, lists."""
        left, right = self.value(node.left), self.value(node.right)
        compute = _ARITHMETIC.get(type(node.op))
        if compute is None:
            raise GridError(f"{_short(ast.unparse(node))} has no place here; {_UNDERSTOOD}")
        _check_size(node.op, left, right)
        if not hasattr(left, "dtype") and not hasattr(right, "dtype"):
            return compute(left, right)
        _check_length(_broadcast_length(left, right))
        with _numpy_errors():
            return _check_whole(compute(left, right), compute, left, right)

    def comparison(self, node: ast.Compare) -> bool:
        """A comparison, for the condition of a comprehension."""
        values = [self.value(operand) for operand in (node.left, *node.comparators)]
        tests = zip(values, node.ops, values[1:], strict=False)
        return all(_COMPARISONS[type(op)](left, right) for left, op, right in tests if _known(op))

    def boolean(self, node: ast.BoolOp) -> Any:
        """`and`, `or`."""
        combine = all if isinstance(node.op, ast.And) else any
        return combine(self.value(one) for one in node.values)

    def conditional(self, node: ast.IfExp) -> Any:
        """``a if condition else b``."""
        return self.value(node.body if self.value(node.test) else node.orelse)

    def comprehension(self, node: ast.ListComp | ast.GeneratorExp) -> list[Any]:
        """``[2**i for i in range(5)]``."""
        before = dict(self._local)
        values: list[Any] = []
        for _ in self._loops(node.generators):
            values.append(self.value(node.elt))
            _check_length(len(values))
        self._local = before
        return values

    def _loops(self, generators: Sequence[ast.comprehension]) -> Iterator[None]:
        if not generators:
            yield
            return
        first, *others = generators
        for item in _items(self.value(first.iter)):
            self._steps += 1
            self._bind(first.target, item)
            if all(self.value(condition) for condition in first.ifs):
                yield from self._loops(others)

    def _bind(self, target: ast.expr, item: Any) -> None:
        if isinstance(target, ast.Name):
            self._local[target.id] = item
        elif isinstance(target, ast.Tuple | ast.List):
            for part, one in zip(target.elts, _items(item), strict=True):
                self._bind(part, one)
        else:
            raise GridError(f"{_short(ast.unparse(target))} is no variable")

    def subscript(self, node: ast.Subscript) -> Any:
        """``values[1:]``, ``values[0]``."""
        return _items(self.value(node.value))[self._index(node.slice)]

    def _index(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Slice):
            return slice(*(None if part is None else self.value(part) for part in (node.lower, node.upper, node.step)))
        return self.value(node)

    def call(self, node: ast.Call) -> Any:
        """A function of `FUNCTIONS`, or a method of an array."""
        method = isinstance(node.func, ast.Attribute) and _numpy_name(node.func) is None
        arguments = [self._argument(argument) for argument in node.args]
        options = {option.arg: self._argument(option.value) for option in node.keywords if option.arg}
        if isinstance(node.func, ast.Attribute) and method:
            return _method(node.func.attr, self.value(node.func.value), arguments, options)
        name = _function_name(node.func)
        return FUNCTIONS[name](*arguments, **options)

    def _argument(self, node: ast.expr) -> Any:
        name = node.id if isinstance(node, ast.Name) else _numpy_name(node)
        return name if name in _TYPES and name not in self._local else self.value(node)


_UNDERSTOOD = "numbers, texts, lists, arithmetic, [… for … in …] and functions of NumPy are understood"
_NUMBERS: Mapping[str, float] = {"pi": math.pi, "e": math.e}
#: What `dtype=` and `astype()` take -> NumPy's name.
_TYPES: Mapping[str | None, str] = {
    "int": "int64", "float": "float64", "bool": "bool", "int32": "int32", "int64": "int64",
    "float32": "float32", "float64": "float64",
}  # fmt: skip
_NODES: Mapping[type[ast.expr], Callable[[_Walker, Any], Any]] = {
    ast.Constant: _Walker.constant,
    ast.Name: _Walker.name,
    ast.Attribute: _Walker.attribute,
    ast.List: _Walker.sequence,
    ast.Tuple: _Walker.sequence,
    ast.Set: _Walker.sequence,
    ast.Dict: _Walker.dictionary,
    ast.UnaryOp: _Walker.unary,
    ast.BinOp: _Walker.binary,
    ast.Compare: _Walker.comparison,
    ast.BoolOp: _Walker.boolean,
    ast.IfExp: _Walker.conditional,
    ast.ListComp: _Walker.comprehension,
    ast.GeneratorExp: _Walker.comprehension,
    ast.Subscript: _Walker.subscript,
    ast.Call: _Walker.call,
}
_ARITHMETIC: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_COMPARISONS: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda one, many: one in many,
    ast.NotIn: lambda one, many: one not in many,
}


def _known(op: ast.cmpop) -> bool:
    if type(op) not in _COMPARISONS:
        raise GridError("compare with ==, !=, <, <=, > or >=")
    return True


def _numpy_name(node: ast.expr) -> str | None:
    """Return ``arange`` for ``np.arange``; None for anything else."""
    match node:
        case ast.Attribute(value=ast.Name(id="np" | "numpy" | "math"), attr=name):
            return name
    return None


def _function_name(node: ast.expr) -> str:
    name = node.id if isinstance(node, ast.Name) else _numpy_name(node)
    if name in FUNCTIONS:
        return str(name)
    hint = did_you_mean(name, FUNCTIONS) if name else ""
    raise GridError(f"{_short(ast.unparse(node))} is no function that is understood here.{hint}")


# --- bounds -----------------------------------------------------------------------------------------------------------


def _check_length(length: float) -> None:
    if not length <= MAX_VALUES:
        raise GridError(f"a list has at most {MAX_VALUES:,} values")


def _items(value: Any) -> Any:
    if isinstance(value, str | list | tuple | range) or hasattr(value, "tolist"):
        return value
    raise GridError(f"{_short(repr(value))} is no list")


def _check_size(op: ast.operator, left: Any, right: Any) -> None:
    """Refuse results that would be larger than any hyperparameter."""
    for one, other in ((left, right), (right, left)):
        if isinstance(one, str | list | tuple):
            if isinstance(op, ast.Mod) or not isinstance(op, ast.Add | ast.Mult):
                raise GridError("there is no arithmetic on texts and lists but + and *; np.array(…) has it")
            times = other if isinstance(op, ast.Mult) and isinstance(other, int) else 1
            _check_length(len(one) * max(times, 0) + (len(other) if isinstance(other, str | list | tuple) else 0))
    if isinstance(left, int) and isinstance(right, int):
        bits = left.bit_length() * max(right, 0) if isinstance(op, ast.Pow) else left.bit_length() + right.bit_length()
        if bits > MAX_BITS and abs(left) > 1:
            raise GridError("the number is too large")


# --- functions --------------------------------------------------------------------------------------------------------


@contextmanager
def _numpy_errors() -> Iterator[None]:
    """Overflow and division by zero in NumPy are errors within, not warnings; it is not imported for this."""
    numpy = sys.modules.get("numpy")
    if numpy is None:
        yield
        return
    with numpy.errstate(all="raise", under="ignore"):
        yield


def _check_whole(result: Any, again: Callable[..., Any], *operands: Any) -> Any:
    """Return the result, unless its whole numbers have run over 64 bits, which NumPy does without a word."""
    if getattr(getattr(result, "dtype", None), "kind", "") in "iu":
        import numpy

        exact = again(*(numpy.asarray(operand, dtype=float) for operand in operands))
        if not numpy.allclose(exact, numpy.asarray(result, dtype=float), rtol=1e-9):
            raise GridError("the numbers are too large for NumPy's 64 bits; [10**i for i in …] has no such limit")
    return result


def _numpy(name: str, length: Callable[..., float] | None = None) -> Callable[..., Any]:
    """A function of NumPy; `length` says how many values it will make, from its arguments."""

    def call(*arguments: Any, **options: Any) -> Any:
        import numpy

        _check_length(_broadcast_length(*arguments) if length is None else length(*arguments, **options))
        options = {key: _TYPES.get(one, one) if key == "dtype" else one for key, one in options.items()}
        function = getattr(numpy, name)
        with _numpy_errors():
            result = function(*map(_plain_type, arguments), **options)
            return _check_whole(result, function, *arguments) if name in _GROWING else result

    return call


def _broadcast_length(*operands: Any) -> float:
    """Return how many values arithmetic on arrays gives, and refuse arguments that are large altogether."""
    import numpy

    _check_length(_size(operands))
    try:
        return math.prod(numpy.broadcast_shapes(*map(numpy.shape, operands))) if len(operands) == 2 else 0
    except ValueError:  # not of shapes that go together; where that is a mistake, the function itself says so
        return 0


def _size(value: Any) -> int:
    """Return the number of single values in lists of lists; counting ends beyond `MAX_VALUES`."""
    if hasattr(value, "size"):
        return int(value.size)
    if not isinstance(value, list | tuple | range):
        return 1
    total = 0
    for one in value:
        total += _size(one)
        if total > MAX_VALUES:
            break
    return total


def _plain_type(argument: Any) -> Any:
    return _TYPES[argument] if isinstance(argument, str) and argument in _TYPES else argument


def _arange_length(start: float, stop: float | None = None, step: float = 1, **_options: Any) -> float:
    if step == 0:
        raise GridError("the step is 0")
    begin, end = (0, start) if stop is None else (start, stop)
    return max(0.0, (end - begin) / step)


def _num(_start: Any, _stop: Any, num: int = 50, *_rest: Any, **_options: Any) -> float:
    return num


def _shape(shape: Any, *_rest: Any, **_options: Any) -> float:
    return math.prod(shape) if isinstance(shape, list | tuple) else shape


def _repeated(values: Any, repeats: Any, *_rest: Any, **_options: Any) -> float:
    times = sum(repeats) if isinstance(repeats, list | tuple) else float(repeats)
    return times * (len(values) if hasattr(values, "__len__") else 1)


def _sized_range(*bounds: int) -> range:
    numbers = range(*bounds)
    _check_length(len(numbers))
    return numbers


def _method(name: str, array: Any, arguments: Sequence[Any], options: Mapping[str, Any]) -> Any:
    """`tolist`, `astype`, `round`, … of an array."""
    if not hasattr(array, "dtype") or name not in _METHODS:
        raise GridError(f".{name}() has no place here.{did_you_mean(name, _METHODS)}")
    return getattr(array, name)(*map(_plain_type, arguments), **options)


#: Functions whose whole numbers may become too large.
_GROWING = ("power", "multiply", "add", "subtract", "square", "prod", "cumprod", "sum", "cumsum")
_METHODS = ("tolist", "astype", "round", "flatten", "item")
_ELEMENTWISE = (
    "power", "round", "around", "rint", "floor", "ceil", "trunc", "exp", "exp2", "log", "log2", "log10", "sqrt",
    "square", "abs", "absolute", "sign", "add", "subtract", "multiply", "divide", "mod", "maximum", "minimum", "clip",
    "array", "asarray", "concatenate", "append", "hstack", "unique", "sort", "flip", "diff", "cumsum", "cumprod",
    "sum", "prod", "min", "max", "mean", "int32", "int64", "float32", "float64",
)  # fmt: skip

#: Every function that an argument may call. `np.` may be left out.
FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    **{name: _numpy(name) for name in _ELEMENTWISE},
    "arange": _numpy("arange", _arange_length),
    "linspace": _numpy("linspace", _num),
    "logspace": _numpy("logspace", _num),
    "geomspace": _numpy("geomspace", _num),
    "zeros": _numpy("zeros", _shape),
    "ones": _numpy("ones", _shape),
    "full": _numpy("full", _shape),
    "repeat": _numpy("repeat", _repeated),
    "tile": _numpy("tile", _repeated),
    "range": _sized_range,
    "list": lambda values=(): list(_items(values)),
    "tuple": lambda values=(): list(_items(values)),
    "sorted": lambda values: sorted(_items(values)),
    "reversed": lambda values: list(_items(values))[::-1],
    "len": lambda values: len(_items(values)),
    "int": int,
    "float": float,
    "str": str,
    "bool": bool,
}
