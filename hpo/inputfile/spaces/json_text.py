"""JSON that must read back to the same values: no key twice, no NaN, every mistake with its line."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from hpo.inputfile.spaces.base import Mistake

_BLANK = re.compile(r"\s*")
_COMMENT_LINE = re.compile(r"^[^\S\n]*[#!][^\n]*", re.MULTILINE)


def decoder() -> json.JSONDecoder:
    """Return a decoder that refuses, with a ValueError, keys given twice and numbers that JSON has not."""
    return json.JSONDecoder(object_pairs_hook=_without_doubles, parse_float=_finite, parse_constant=_refuse_constant)


def without_comments(text: str) -> str:
    """Return the text without lines that are comments; all other lines stay where they are."""
    return _COMMENT_LINE.sub("", text)


def document(text: str) -> Any:
    """Return the one document in `text`; raise `Mistake` with the line."""
    value, end = _value(text, _BLANK.match(text, 0).end())  # type: ignore[union-attr]
    if text[end:].strip():
        raise Mistake(f"{text[end:].strip()[:40]!r} stands behind the JSON", line_of(text, end))
    return value


def elements(text: str) -> Iterator[tuple[Any, int]]:
    """Yield the elements of the list in `text`, each with its line; raise `Mistake` with the line."""
    at = _after_blank(text, text.index("[") + 1)
    while text[at : at + 1] != "]":
        value, end = _value(text, at)
        yield value, line_of(text, at)
        at = _after_blank(text, end)
        if text[at : at + 1] == ",":
            at = _after_blank(text, at + 1)
        elif text[at : at + 1] != "]":
            found = repr(text[at : at + 20].split("\n")[0]) if text[at:] else "the end"
            raise Mistake(f"a comma or ']' is missing before {found}", line_of(text, at))
    if text[at + 1 :].strip():
        raise Mistake(f"{text[at + 1 :].strip()[:40]!r} stands behind the list", line_of(text, at + 1))


def line_of(text: str, at: int) -> int:
    """Return the line, from 1, of a position in the text."""
    return text.count("\n", 0, at) + 1


def _after_blank(text: str, at: int) -> int:
    return _BLANK.match(text, at).end()  # type: ignore[union-attr]


def _value(text: str, at: int) -> tuple[Any, int]:
    try:
        return decoder().raw_decode(text, at)
    except json.JSONDecodeError as error:
        what = f"this is no JSON: {error.msg} at column {error.colno}{hint(text, error)}"
        raise Mistake(what, error.lineno) from None
    except RecursionError:
        raise Mistake("this JSON is nested too deeply", line_of(text, at)) from None
    except ValueError as error:
        raise Mistake(str(error), line_of(text, at)) from None


def hint(text: str, error: json.JSONDecodeError) -> str:
    """Return the likely reason of a mistake, from the line in which it is."""
    line = text.split("\n")[error.lineno - 1]
    if any(quote in line for quote in "“”„"):
        return '; JSON has straight quotes (")'
    if "'" in line and '"' not in line:
        return "; JSON has double quotes"
    if re.search(r"\b(True|False|None)\b", line):
        return "; JSON writes true, false and null"
    return "; there is a comma too many" if text[: error.pos].rstrip().endswith(",") else ""


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise ValueError(f"{name!r} is given twice in one object")
            seen.add(name)
    return read


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is larger than a number can be")
    return value


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is no number in JSON")
