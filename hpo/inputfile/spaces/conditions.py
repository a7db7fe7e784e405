"""Conditions and transformations in native notation, which is Python's: text -> `Expression` and back.

The text goes through Python's own parser, is never compiled, and its tree is translated node by node into the closed
language of `hpo.space.expressions`; a node that has no translation is a mistake.
"""

from __future__ import annotations

import ast
import keyword
import re
import warnings
from collections.abc import Collection
from typing import Any

from hpo.errors import did_you_mean
from hpo.space.expressions import FUNCTIONS, Call, Expression, ExpressionError, Name, names_in, negated

_MAX_LENGTH = 10_000
_OPERATORS: dict[type[ast.AST], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**", ast.Mod: "%", ast.FloorDiv: "//",
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.In: "in",
    ast.And: "and", ast.Or: "or",
}  # fmt: skip
_WORDS = {"true": True, "false": False, "null": None, "none": None}
_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=", "in")
_CURLY_QUOTES = "“”„‟‘’‚‛"
_CURLY = str.maketrans(_CURLY_QUOTES, '"' * 4 + "'" * 4)

#: `params['any name']` is a parameter whose name cannot stand alone.
_TABLE = "params"
_PLAIN = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)


def parse(text: str, names: Collection[str], fixed: Collection[str] = ()) -> Expression:
    """Return the expression in `text`, which may read `names`; raise `ExpressionError` with a sentence otherwise.

    fixed: names that have one value in all trials, and that therefore cannot be read. A word that is no name is a text,
    as elsewhere in the file, but only where it is compared with something.
    """
    if len(text) > _MAX_LENGTH:
        raise ExpressionError(f"an expression has at most {_MAX_LENGTH} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(f"({text.translate(_CURLY)}\n)", mode="eval").body
        return _Translator(names, fixed).translate(tree)
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        if isinstance(error, ExpressionError):
            raise
        raise ExpressionError(f"{_short(text)} is not understood{_hint(text)}") from None


def write(expression: Expression) -> str:
    """Return the expression in native notation; `parse` reads it back to the same tree."""
    if isinstance(expression, Name):
        plain = _PLAIN.fullmatch(expression.name) and expression.name.casefold() not in _reserved()
        return expression.name if plain else f"{_TABLE}[{quoted(expression.name)}]"
    if not isinstance(expression, Call):
        return _write_literal(expression)
    parts = [write(argument) for argument in expression.arguments]
    match expression.function:
        case "list":
            return f"[{', '.join(parts)}]"
        case "item":
            return f"{parts[0]}[{parts[1]}]"
        case "if":
            return f"({parts[1]} if {parts[0]} else {parts[2]})"
        case "not":
            return f"(not {parts[0]})"
        case operator if operator in _OPERATORS.values():
            return f"({f' {operator} '.join(parts)})" if len(parts) > 1 else f"({operator}{parts[0]})"
        case function:
            return f"{function}({', '.join(parts)})"


def quoted(text: str) -> str:
    """Return a Python string literal in double quotes, without any further quote in it."""
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(char: str) -> str:
    if char.isprintable() and char not in '"\\' and char not in _CURLY_QUOTES:
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"


def _write_literal(value: Any) -> str:
    if isinstance(value, str):
        return quoted(value)
    return f"({value!r})" if repr(value).startswith("-") else repr(value)


def _reserved() -> set[str]:
    return {*_WORDS, *(word.casefold() for word in keyword.kwlist), _TABLE}


class _Translator:
    def __init__(self, names: Collection[str], fixed: Collection[str]) -> None:
        self.names = names
        self.fixed = fixed

    def translate(self, node: ast.expr) -> Expression:
        match node:
            case ast.Constant(value=value) if value is None or isinstance(value, bool | int | float | str):
                return value
            case ast.Name() | ast.Attribute():
                return self._name(node)
            case ast.Subscript(value=ast.Name(id=table)) if table == _TABLE:
                return self._name(node)
            case ast.BoolOp(op=op, values=values):
                return Call(_OPERATORS[type(op)], tuple(map(self.translate, values)))
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self.translate(operand)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return negated(self._value(operand))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return Call("not", (self.translate(operand),))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
                return Call(_OPERATORS[type(op)], (self._value(left), self._value(right)))
            case ast.Compare():
                return self._comparison(node)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return Call("if", (self.translate(test), self.translate(body), self.translate(orelse)))
            case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
                return Call("list", tuple(map(self.translate, items)))
            case ast.Subscript(value=value, slice=ast.Constant(value=int(index))):
                return Call("item", (self.translate(value), index))
            case ast.Call(func=ast.Name(id=function), args=arguments, keywords=[]):
                return self._call(function, arguments)
        text = ast.unparse(node)
        raise ExpressionError(f"{_short(text)} has no place in a condition or transformation{_hint(text)}")

    def _name(self, node: ast.expr) -> Expression:
        """A parameter, a word such as `true`, or else a text."""
        match node:
            case ast.Subscript(value=ast.Name(id=table), slice=ast.Constant(value=str(name))) if table == _TABLE:
                self._require(name)
                return Name(name)
            case ast.Name() | ast.Attribute():
                name = ast.unparse(node)
                if name in self.names:
                    return Name(name)
                return _WORDS.get(name.casefold(), name)
        raise ExpressionError(f"{_short(ast.unparse(node))} has no place in a condition or transformation")

    def _value(self, node: ast.expr) -> Expression:
        """Translate where a bare word cannot be meant as a text."""
        if isinstance(node, ast.Name | ast.Attribute):
            self._require(ast.unparse(node))
        return self.translate(node)

    def _require(self, name: str) -> None:
        if name not in self.names and name in self.fixed:
            raise ExpressionError(f"{name!r} is fixed, in &default_model; conditions read what is searched")
        if name not in self.names:
            raise ExpressionError(f"{name!r} is no parameter.{did_you_mean(name, self.names)}".removesuffix("."))

    def _comparison(self, node: ast.Compare) -> Expression:
        operands = [node.left, *node.comparators]
        parts: list[Expression] = []
        for left, op, right in zip(operands, node.ops, operands[1:], strict=False):
            negate = isinstance(op, ast.NotIn)
            function = "in" if negate else _OPERATORS.get(type(op))
            if function is None:
                raise ExpressionError(f"{_short(ast.unparse(node))}: compare with == or !=")
            part = Call(function, (self.translate(left), self.translate(right)))
            if not any(True for _ in names_in(part)):
                self._refuse_constant(left, right)
            parts.append(Call("not", (part,)) if negate else part)
        return parts[0] if len(parts) == 1 else Call("and", tuple(parts))

    def _refuse_constant(self, *operands: ast.expr) -> None:
        """A comparison of a bare word that reads no parameter has a misspelt one."""
        for operand in operands:
            if isinstance(operand, ast.Name | ast.Attribute):
                self._require(ast.unparse(operand))

    def _call(self, function: str, arguments: list[ast.expr]) -> Expression:
        if function not in FUNCTIONS:
            hint = did_you_mean(function, FUNCTIONS)
            raise ExpressionError(f"there is no function {function!r} here.{hint}".removesuffix("."))
        return Call(function, tuple(map(self._value, arguments)))


def _hint(text: str) -> str:
    if "&&" in text or "||" in text:
        return "; write 'and' and 'or'"
    if "^" in text:
        return "; write ** for a power"
    if re.search(r"(?<![=!<>])=(?!=)", text):
        return "; compare with =="
    return ""


def _short(text: str) -> str:
    text = " ".join(text.split())
    return repr(text if len(text) <= 60 else text[:59] + "…")
