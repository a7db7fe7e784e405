"""One value: text -> what it means.

The meaning is decided per value, so that one line never changes another's, in this order: a quoted string; a Python
literal; a Fortran namelist value, read by f90nml; ``true``, ``false`` and ``null``; a bare word or path. f90nml is only
asked about tokens of its grammar, because it misreads others without a word (``[1, 2]``, ``00:20:00``, ``a/vae.py``).
Nothing is ever evaluated.
"""

from __future__ import annotations

import ast
import math
import re
import warnings
from collections.abc import Sequence
from typing import Any

from hpo.inputfile.assignments import Assignment, shorten

#: Limits that no sensible value reaches; beyond them it is a mistake, and reading it could take for ever.
MAX_DEPTH = 50
MAX_REPEAT = 100_000
MAX_DIGITS = 4000
MAX_TARGET = 200

_NUMBER = re.compile(r"[+-]?(?:\d++(?:\.\d*+)?+|\.\d++)(?:[eE][+-]?\d+)?", re.ASCII)
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:_\d{3})++(?:\.\d*+)?", re.ASCII)
_PREFIXED = re.compile(r"[+-]?0[xob][\da-f]+", re.IGNORECASE | re.ASCII)
_KIND = re.compile(r"[+-]?(?:\d++(?:\.\d*+)?+|\.\d++)(?:[ed][+-]?\d+)?_\w*", re.IGNORECASE | re.ASCII)
_SIGNED_EXPONENT = re.compile(r"[+-]?(?:\d++\.\d*+|\.\d++)[+-]\d+", re.ASCII)
_CALL = re.compile(r"[^\W\d][\w.]*\(.*\)", re.DOTALL)
_ARITHMETIC = re.compile(r"(?=\D*\d)(?=[^*/+%]*[*/+%]+\s*[-\d.(])[\d.()eE_\s*/+%-]+", re.ASCII)
_REPEAT = re.compile(r"(?<![\w.])(\d+)\*", re.ASCII)
_INDEX = re.compile(r"\d+", re.ASCII)

_F_NUMBER = r"[+-]?(?:\d++(?:\.\d*+)?+|\.\d++)(?:[ed][+-]?\d+)?(?![\w.])"
_F_WORD = rf"{_F_NUMBER}|\.(?:true|false|t|f)\.(?![\w.])|[+-]?[a-z_]\w*(?![\w.'\"])"
_F_QUOTED = r"'(?:[^'\n]|'')*+'|\"(?:[^\"\n]|\"\")*+\""
_F_ITEM = rf"(?:\d+\*)?+(?:{_F_WORD}|{_F_QUOTED})|\d+\*"
_FORTRAN = re.compile(rf"\s*(?:(?:{_F_ITEM})(?:\s*,\s*|\s+|\Z)|,\s*)++\Z", re.IGNORECASE | re.ASCII)

_NO_VALUE = ", \n\t"
_WORDS: dict[str, Any] = {"true": True, "false": False, "null": None}
_OPENING = {"'": "'", '"': '"', "“": "”", "”": "”", "„": "”", "‟": "”", "‘": "’", "’": "’", "‚": "’", "‛": "’"}
_DOUBLE, _SINGLE = '"“”„‟', "'‘’‚‛"


class BadValue(ValueError):
    """The value cannot be read; the text is a sentence's end, without file and line.

    meant: the value that was probably meant, by which the rest of the file is judged; None without a guess.
    """

    def __init__(self, text: str, meant: Any = None) -> None:
        super().__init__(text)
        self.meant = meant


def read_value(text: str, *, fortran: bool = True) -> Any:
    """Return the meaning of one value: a string, number, bool, None, list, tuple or dict.

    fortran: whether Fortran namelist forms are read; default model files (INI) have none, and 30_000 is a number there.
    Raises `BadValue`.
    """
    text = text.strip()
    if not text.strip(_NO_VALUE):
        raise BadValue("has no value")
    quoted = unquote(text)
    if quoted is not None:
        return quoted
    if text[0] in "[({":
        return _bracketed(text)
    if text.casefold() in _WORDS:
        return _WORDS[text.casefold()]
    if text == "None":
        return None
    if not fortran and _GROUPED.fullmatch(text):
        text = text.replace("_", "")
    _refuse_misread(text)
    if _is_python_number(text):
        return _number(text)
    if fortran and _FORTRAN.match(text):
        return _fortran("x", [("x", text)])
    return text


def read_indexed(assignments: Sequence[Assignment]) -> Any:
    """Return what several assignments to parts of one variable make of it: ``x(2) = 5`` is ``[None, 5]``.

    All have the same key; `BadValue` when they are no plain namelist.
    """
    for assignment in assignments:
        if not assignment.text.strip(_NO_VALUE):
            raise BadValue("has no value")
        _refuse_misread(assignment.text)
        if not _FORTRAN.match(assignment.text):
            raise BadValue("is assigned by index, so its values must be plain: numbers, quoted strings, logicals")
        if len(assignment.target) > MAX_TARGET:
            raise BadValue(f"has a name of more than {MAX_TARGET} characters")
        if math.prod(max(1, int(number)) for number in _INDEX.findall(_indices(assignment.target))) > MAX_REPEAT:
            raise BadValue(f"has more than {MAX_REPEAT} elements")
    return _fortran(assignments[0].key, [(a.target, a.text) for a in assignments])


def unquote(text: str) -> str | None:
    """Return the contents of `text` when all of it is one quoted string, else None.

    As in Fortran a doubled quote stands for one and a backslash for itself; only where that gives no single string
    (``'say \\'hi\\''``) is it read as in Python.
    """
    quote, last = text[0], text[-1]
    if len(text) < 2 or quote not in _OPENING:
        return None
    if quote == last and quote in "'\"":
        inner = text[1:-1]
        if quote not in inner.replace(quote * 2, ""):
            return inner.replace(quote * 2, quote)
        return _python_string(text)
    family = _DOUBLE if quote in _DOUBLE else _SINGLE
    inner = text[1:-1]
    return inner if last in family and not any(char in inner for char in family) else None


def _python_string(text: str) -> str | None:
    """Return the value of a Python string literal, or None when `text` is not one."""
    if not re.fullmatch(r"'(?:[^'\\\n]|\\.)*+'|\"(?:[^\"\\\n]|\\.)*+\"", text):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an unknown escape such as '\d' keeps its backslash
            return str(ast.literal_eval(text))
    except (ValueError, SyntaxError):
        return None


def _is_python_number(text: str) -> bool:
    return bool(_NUMBER.fullmatch(text) or _PREFIXED.fullmatch(text))


def _number(text: str) -> int | float:
    """Return the number that `text` is in Python; ``010``, which is none there, is ten."""
    if len(text) > MAX_DIGITS:
        raise BadValue(f"is a number of {len(text)} characters")
    if _PREFIXED.fullmatch(text):
        return int(text, 0)
    try:
        return int(text)
    except ValueError:
        return float(text)


def _refuse_misread(text: str) -> None:
    """Raise for what one of the languages would read as something that its writer did not mean."""
    if text.startswith("="):
        raise BadValue("has no value before the second '='")
    if _KIND.fullmatch(text):
        raise BadValue(f"has a number with a kind suffix or underscore, '{shorten(text)}'; write the digits alone")
    if _SIGNED_EXPONENT.fullmatch(text):
        raise BadValue(f"is '{shorten(text)}': quote it if it is text, write an 'e' before the exponent if a number")
    repeats = sum(int(count) if len(count) < 10 else MAX_REPEAT + 1 for count in _REPEAT.findall(text))
    if not _FORTRAN.match(text):
        if ";" in text:
            raise BadValue(f"is '{shorten(text)}'; remove the ';', or quote the text")
        if text[0] in _OPENING:
            raise BadValue(f"has text behind or between quotes: {shorten(text)}")
        if _ARITHMETIC.fullmatch(text) or _CALL.fullmatch(text):
            raise BadValue(f"is '{shorten(text)}', but nothing is computed here; write the result, or quote a text")
    elif repeats > MAX_REPEAT:
        raise BadValue(f"repeats a value more than {MAX_REPEAT} times")


# --- Fortran ------------------------------------------------------------------------------------------------------


def _indices(target: str) -> str:
    return "".join(re.findall(r"\([^)]*\)", target))


def _fortran(key: str, parts: Sequence[tuple[str, str]]) -> Any:
    """Ask f90nml what `parts`, assignments (target, text) to `key`, make of it; names keep their letter case."""
    import f90nml

    parser = f90nml.Parser()
    parser.global_start_index = 1  # x(2) = 5 leaves the first element unset, it does not begin at 2
    names: dict[str, str] = {}
    lines = [f"{_disguise(target, names)} = {text}\n" for target, text in parts]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            group = parser.reads("&g\n" + "".join(lines) + "/\n")["g"].todict()
    except (ValueError, AssertionError, KeyError, IndexError, TypeError, AttributeError, UserWarning) as error:
        raise BadValue(f"is no value that a Fortran namelist can hold: {shorten(parts[-1][1])}") from error
    return _named({v: k for k, v in names.items()}, group)[key]


def _disguise(target: str, names: dict[str, str]) -> str:
    """Replace the names in ``a(2)%b`` by lower-case ones of our own, because f90nml folds case."""

    def replace(match: re.Match[str]) -> str:
        return names.setdefault(match[0], f"v{len(names)}")

    return re.sub(r"[^\W\d][\w.\-]*", replace, target)


def _named(names: dict[str, str], value: Any) -> Any:
    """Give the disguised names back, and plain lists and dicts."""
    if isinstance(value, dict):
        return {names[key]: _named(names, item) for key, item in value.items() if key in names}
    if isinstance(value, list):
        return [_named(names, item) for item in value]
    return value


# --- lists, tuples, dictionaries ----------------------------------------------------------------------------------

_LITERAL_TOKEN = re.compile(
    r"""\s*(?:
      (?P<string> '(?:[^'\\\n]|\\.|'')*+' | "(?:[^"\\\n]|\\.|"")*+" | [“”„‟][^“”„‟\n]*+[“”‟] | [‘’‚‛][^‘’‚‛\n]*+[’‘‛] )
    | (?P<punctuation> [\[\](){},:])
    | (?P<word> [^\s\[\](){},:"'“”„‟‘’‚‛]+)
    | (?P<other> .)
    )""",
    re.VERBOSE,
)
_END = ""


def _bracketed(text: str) -> Any:
    """Read a list, tuple or dictionary; what Python reads is read alike, bare words in it are strings."""
    return _Literal(text).read()


class _Literal:
    """Recursive descent over a bracketed literal, no deeper than `MAX_DEPTH`."""

    def __init__(self, text: str) -> None:
        self._text = text.rstrip()
        self._tokens = [m[m.lastgroup or 0] for m in _LITERAL_TOKEN.finditer(self._text)]
        self._tokens.append(_END)
        self._at = 0

    def read(self) -> Any:
        value = self._value(0)
        if self._peek() == ",":  # [1, 2], [3, 4] is a tuple
            value = (value, *self._items(_END, 0))
        if self._peek() != _END:
            raise self._bad(f"'{shorten(self._peek())}' is not expected")
        return value

    def _peek(self) -> str:
        return self._tokens[self._at]

    def _next(self) -> str:
        token = self._tokens[self._at]
        self._at += token != _END
        return token

    def _bad(self, why: str) -> BadValue:
        return BadValue(f"cannot be read, {why}: {shorten(self._text)}")

    def _value(self, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise BadValue(f"has brackets nested more than {MAX_DEPTH} deep")
        first = self._next()
        if first == "[":
            return self._closed("]", depth)
        if first == "(":
            return self._parenthesis(depth)
        if first == "{":
            return self._dictionary(depth)
        if first == _END or first in "]}),:":
            raise self._bad(f"a value is missing before '{first}'" if first else "it ends too early")
        return self._atom(first)

    def _parenthesis(self, depth: int) -> Any:
        """Read ``()``, ``(1,)``, ``(1, 2)`` as tuples and ``(1)`` as 1."""
        items = self._closed(")", depth)
        single = len(items) == 1 and self._tokens[self._at - 2] != ","
        return items[0] if single else tuple(items)

    def _closed(self, closing: str, depth: int) -> list[Any]:
        items = [] if self._peek() == closing else [self._value(depth + 1)]
        items += self._items(closing, depth)
        if self._next() != closing:
            raise self._bad(f"a comma or '{closing}' is missing")
        return items

    def _items(self, closing: str, depth: int) -> list[Any]:
        """Read ``, value`` as often as it comes; one trailing comma is allowed."""
        items = []
        while self._peek() == ",":
            self._next()
            if self._peek() == closing:
                break
            items.append(self._value(depth + 1))
        return items

    def _dictionary(self, depth: int) -> dict[Any, Any]:
        result: dict[Any, Any] = {}
        while self._peek() != "}":
            key = self._value(depth + 1)
            if isinstance(key, list | dict | tuple):
                raise self._bad("a dictionary's key must be a string or a number")
            if self._next() != ":":
                raise self._bad(f"a ':' is missing behind the key '{shorten(str(key))}'")
            if key in result:
                raise self._bad(f"the key '{shorten(str(key))}' stands in it twice")
            result[key] = self._value(depth + 1)
            if self._peek() == ",":
                self._next()
            elif self._peek() != "}":
                raise self._bad("a comma or '}' is missing")
        self._next()
        return result

    def _atom(self, token: str) -> Any:
        if token[0] in _OPENING:
            text = _python_string(token) if "\\" in token else unquote(token)
            if text is None:
                raise self._bad("a quote is not closed")
            return text
        plain = re.sub(r"(?<=\d)_(?=\d)", "", token, flags=re.ASCII)  # 1_000, as in Python
        if _is_python_number(plain):
            return _number(plain)
        value = read_value(token)
        if isinstance(value, list):
            raise self._bad(f"'{shorten(token)}' is a Fortran repeat, which has no place between brackets")
        return value
