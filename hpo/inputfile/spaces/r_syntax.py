"""The syntax of R, as far as a parameter set has it: tokens, and a parser by recursive descent.

Nothing is known here of what names mean. Only the statements that are asked for are parsed, so that other R code in
the file may be anything.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from hpo.inputfile.spaces.base import Mistake

#: Deeper than any parameter set; keeps the descent within Python's stack.
MAX_DEPTH = 60

_TOKEN = re.compile(
    r"""
      (?P<newline>\n)
    | (?P<blank>[^\S\n]+)
    | (?P<comment>\#[^\n]*)
    | (?P<number>(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)L?)(?![\w.])
    | (?P<raw>[rR](?P<q>["'])(?P<dashes>-*)(?:\((?P<raw1>.*?)\)|\[(?P<raw2>.*?)\]|\{(?P<raw3>.*?)\})(?P=dashes)(?P=q))
    | (?P<string>"(?:[^"\\]|\\.)*+" | '(?:[^'\\]|\\.)*+' | [“”„‟][^“”„‟"\n]*[“”‟"] | [‘’‚‛][^‘’‚‛'\n]*[‘’‛'])
    | (?P<quoted_name>`[^`\n]+`)
    | (?P<name>(?:[^\W\d]|\.(?!\d))[\w.]*)
    | (?P<operator><<-|->>|:::|<-|->|<=|>=|==|!=|&&|\|\||\|>|::|\*\*|%[^%\n]*%|[-+*/^:<>=&|!~?$@\\(){}\[\],;])
    | (?P<bad>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{1,2})|[uU]\{?([0-9a-fA-F]{1,8})\}?|([0-7]{1,3})|(.))", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


@dataclass(frozen=True, slots=True)
class Token:
    """kind: number, string, name, operator, newline, bad, or end. depth: how many brackets are open before it."""

    kind: str
    text: str
    line: int
    depth: int


@dataclass(frozen=True, slots=True)
class Number:
    """A number as R holds it; `whole` for ``5L``."""

    value: float
    whole: bool
    line: int


@dataclass(frozen=True, slots=True)
class Text:
    value: str
    line: int


@dataclass(frozen=True, slots=True)
class Symbol:
    name: str
    line: int


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a call; `value` is None where nothing stands between two commas."""

    name: str | None
    value: Node | None


@dataclass(frozen=True, slots=True)
class Call:
    """A call or operator applied to arguments; `function` is its name, "" when it is no plain name."""

    function: str
    arguments: tuple[Argument, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Function:
    """``function(x) body``; parameters with their default values."""

    parameters: tuple[Argument, ...]
    body: Node
    line: int


Node: TypeAlias = Number | Text | Symbol | Call | Function

_CLOSES = {")": "(", "]": "[", "(": "the call"}


def tokenize(text: str) -> list[Token]:
    """Return the tokens of R code, without blanks and comments, ending with one of kind "end".

    A line that begins with ``!`` outside of brackets is a comment, as everywhere in an input file.
    """
    tokens: list[Token] = []
    at, line, depth = 0, 1, 0
    while match := _TOKEN.match(text, at):
        kind, found = match.lastgroup or "", match[0]
        if found == "!" and depth == 0 and (not tokens or tokens[-1].kind == "newline"):
            at = text.find("\n", at) if "\n" in text[at:] else len(text)
            continue
        depth -= found in (")", "]", "}") and depth > 0
        again = kind == "newline" and tokens and tokens[-1].kind == "newline"
        if kind not in ("blank", "comment") and not again:
            tokens.append(_token(match, line, depth))
        depth += found in ("(", "[", "{")
        line += found.count("\n")
        at = match.end()
    return [*tokens, Token("end", "the end", line, 0)]


def _token(match: re.Match[str], line: int, depth: int) -> Token:
    kind, text = match.lastgroup or "", match[0]
    if match["raw"] is not None:
        inside = next(g for g in (match["raw1"], match["raw2"], match["raw3"]) if g is not None)
        return Token("string", inside, line, depth)
    if kind == "string":
        return Token("string", _ESCAPE.sub(_unescaped, text[1:-1]), line, depth)
    if kind == "quoted_name":
        return Token("name", text[1:-1], line, depth)
    return Token(kind, text, line, depth)


def _unescaped(match: re.Match[str]) -> str:
    hexadecimal, unicode, octal, char = match.groups()
    if char is not None:
        return _ESCAPED.get(char, char)
    code = int(hexadecimal or unicode, 16) if octal is None else int(octal, 8)
    return chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE000 else "�"


class Parser:
    """Parses one expression that begins at a given token."""

    def __init__(self, tokens: Sequence[Token], at: int = 0) -> None:
        self._tokens = tokens
        self.at = at
        self._depth = 0
        # Whether a newline ends an expression: not within parentheses, but again within braces in them.
        self._newlines_end = [True]

    def expression(self, least: int = 0) -> Node:
        """Return the expression that begins here, with operators that bind at least as tightly as `least`."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise Mistake("the R code is nested too deeply", self._peek().line)
        left = self._prefix()
        while (row := _BINARY.get(self._peek().text)) and self._peek().kind == "operator" and row[0] >= least:
            operator = self._next()
            operands = (Argument(None, left), Argument(None, self.expression(row[1])))
            left = Call(_SAME.get(operator.text, operator.text), operands, operator.line)
        self._depth -= 1
        return left

    def _peek(self) -> Token:
        while self._tokens[self.at].kind == "newline" and not self._newlines_end[-1]:
            self.at += 1
        return self._tokens[self.at]

    def _next(self) -> Token:
        token = self._peek()
        self.at += token.kind != "end"
        return token

    def _skip_newlines(self) -> None:
        while self._tokens[self.at].kind == "newline":
            self.at += 1

    def _expect(self, text: str, line: int) -> None:
        token = self._peek()
        if token.text != text or token.kind != "operator":
            found = "the end of the text" if token.kind == "end" else repr(token.text.strip()[:40])
            comma = "a comma or " if text in ")]" else ""
            opened = "" if line == token.line else f" ({_CLOSES[text]!r} stands {token.line - line} line(s) above)"
            raise Mistake(f"{comma}{text!r} is missing before {found}{opened}", token.line)
        self._next()

    def _prefix(self) -> Node:
        self._skip_newlines()
        token = self._next()
        if token.kind == "operator" and token.text in _UNARY:
            return Call(token.text, (Argument(None, self.expression(_UNARY[token.text])),), token.line)
        return self._suffixes(self._primary(token))

    def _primary(self, token: Token) -> Node:
        match token.kind, token.text:
            case "number", text:
                return _number(text, token.line)
            case "string", text:
                return Text(text, token.line)
            case ("name", "function") | ("operator", "\\"):
                return self._function(token.line)
            case "name", "if":
                return self._if(token.line)
            case "name", name:
                return Symbol(name, token.line)
            case "operator", "(":
                return self._parenthesis(token.line)
            case "operator", "{":
                return self._block(token.line)
        found = "nothing follows" if token.kind == "end" else f"{token.text.strip()[:40]!r} is not expected here"
        raise Mistake(f"this R code is not understood: {found}", token.line)

    def _suffixes(self, node: Node) -> Node:
        """Calls and subscripts behind a value."""
        while self._peek().kind == "operator" and self._peek().text in ("(", "[", "$", "@", "::", ":::"):
            token = self._next()
            if token.text == "(":
                arguments = self._arguments(")", token.line)
                node = Call(node.name if isinstance(node, Symbol) else "", arguments, token.line)
            elif token.text == "[":
                node = Call("[", (Argument(None, node), *self._arguments("]", token.line)), token.line)
            else:
                part = self._primary(self._next())
                package = "::" in token.text  # ParamHelpers::makeParamSet is makeParamSet
                node = part if package else Call(token.text, (Argument(None, node), Argument(None, part)), token.line)
        return node

    def _parenthesis(self, line: int) -> Node:
        self._newlines_end.append(False)
        node = self.expression()
        self._expect(")", line)
        self._newlines_end.pop()
        return node

    def _block(self, line: int) -> Node:
        self._newlines_end.append(True)
        statements = []
        while True:
            self._skip_newlines()
            if self._peek().text == "}":
                break
            if self._peek().text == ";":
                self._next()
                continue
            statements.append(Argument(None, self.expression()))
        self._next()
        self._newlines_end.pop()
        return Call("{", tuple(statements), line)

    def _arguments(self, closing: str, line: int) -> tuple[Argument, ...]:
        self._newlines_end.append(False)
        arguments: list[Argument] = []
        while self._peek().text != closing:
            if self._peek().text == ",":
                arguments.append(Argument(None, None))
            else:
                arguments.append(self._argument())
            if self._peek().text != ",":
                break
            self._next()
        self._expect(closing, line)
        self._newlines_end.pop()
        return tuple(arguments)

    def _argument(self) -> Argument:
        token = self._peek()
        if token.kind not in ("name", "string") or self._after().text != "=":
            return Argument(None, self.expression(_ABOVE_ASSIGNMENT))
        self._next()
        self._next()
        empty = self._peek().kind == "operator" and self._peek().text in (",", ")")
        return Argument(token.text, None if empty else self.expression(_ABOVE_ASSIGNMENT))

    def _after(self) -> Token:
        """The token behind the next one, within parentheses."""
        at = self.at + 1
        while at < len(self._tokens) - 1 and self._tokens[at].kind == "newline":
            at += 1
        return self._tokens[min(at, len(self._tokens) - 1)]

    def _function(self, line: int) -> Node:
        self._expect("(", line)
        parameters = tuple(_parameter(argument, line) for argument in self._arguments(")", line))
        self._skip_newlines()
        return Function(parameters, self.expression(), line)

    def _if(self, line: int) -> Node:
        self._expect("(", line)
        condition = self._parenthesis(line)
        self._skip_newlines()
        yes = self.expression()
        before = self.at
        self._skip_newlines()
        parts = [condition, yes]
        if self._peek().text == "else":
            self._next()
            self._skip_newlines()
            parts.append(self.expression())
        else:
            self.at = before
        return Call("if", tuple(Argument(None, part) for part in parts), line)


def _parameter(argument: Argument, line: int) -> Argument:
    if argument.name is None and isinstance(argument.value, Symbol):
        return Argument(argument.value.name, None)
    if argument.name is None:
        raise Mistake("this function's parameters are not understood", line)
    return argument


def _number(text: str, line: int) -> Number:
    whole = text.endswith("L")
    digits = text.removesuffix("L")
    if len(digits) > 400:
        raise Mistake("this number is too long", line)
    value = float(int(digits, 16)) if digits[:2] in ("0x", "0X") else float(digits)
    return Number(value, whole and value.is_integer(), line)


#: Operator -> how tightly it binds, and how tightly its right operand does at least (right-associative: the same).
_BINARY = {
    "=": (2, 2), "<-": (4, 4), "<<-": (4, 4), "~": (8, 9), "||": (10, 11), "|": (10, 11), "&&": (12, 13), "&": (12, 13),
    "==": (16, 17), "!=": (16, 17), "<": (16, 17), ">": (16, 17), "<=": (16, 17), ">=": (16, 17),
    "+": (18, 19), "-": (18, 19), "*": (20, 21), "/": (20, 21), "%%": (22, 23), "%/%": (22, 23), "%in%": (22, 23),
    ":": (24, 25), "^": (28, 28), "**": (28, 28),
}  # fmt: skip
_UNARY = {"~": 8, "!": 14, "-": 26, "+": 26}
_ABOVE_ASSIGNMENT = 3
#: Operators that mean the same here.
_SAME = {"**": "^", "&&": "&", "||": "|", "<<-": "<-", "=": "<-"}
