"""``key = value`` lines -> assignments, each with its line.

This is the layout of &control and &default_model: where a value begins and ends, what is a comment, which quotes and
brackets belong together. What a value means is decided in `values`, one value at a time.

A value ends with its line, unless a bracket is open, the line ends with a comma, or the next line continues a Fortran
list (it begins with a number, a quote or a comma). Several assignments may share a line; ``a = b=c`` is one value that
contains '=', ``a = 1 b = 2`` are two.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hpo.errors import Complaints

# What may follow a closing quote. A quote followed by anything else did not close: 'say \'hi\'' is read as in Python.
_BOUNDARY = r"""(?=[\s,;)\]}:=#!/*]|\Z)"""
_NAME = r"[^\W\d][\w.\-]*"
TOKEN = re.compile(
    rf"""
      (?P<newline>\n)
    | (?P<blank>[^\S\n]+)
    | (?P<comment>[#!][^\n]*)
    | (?P<quoted>
          '(?:[^'\n]|'')*+' {_BOUNDARY} | "(?:[^"\n]|"")*+" {_BOUNDARY}
        | '(?:[^'\\\n]|\\.)*+' {_BOUNDARY} | "(?:[^"\\\n]|\\.)*+" {_BOUNDARY}
        | [“”„‟"][^“”„‟"\n]*+[“”‟] {_BOUNDARY} | [“”„‟][^“”„‟"\n]*+" {_BOUNDARY}
        | [‘’‚‛'][^‘’‚‛'\n]*+[‘’‛] {_BOUNDARY} | [‘’‚‛][^‘’‚‛'\n]*+' {_BOUNDARY}
      )
    | (?P<unclosed>["'“”„‟‘’‚‛])
    | (?P<open>[\[({{])
    | (?P<close>[\])}}])
    | (?P<comma>,)
    | (?P<equals>=)
    | (?P<colon>:)
    | (?P<repeat>\d+\*)
    | (?P<word>[^\s\[\](){{}},=:\#!]+)
    """,
    re.VERBOSE,
)
_INDICES = r"(?:[^\S\n]*\([\s\d,:+\-]*\))?"
_LVALUE = rf"{_NAME}{_INDICES}(?:%{_NAME}{_INDICES})*"
_KEY = re.compile(rf"(?P<key>{_LVALUE})[^\S\n]*(?P<sign>=(?!=)|:)")
_INLINE_KEY = re.compile(rf"(?P<key>{_LVALUE})[^\S\n]*(?P<sign>=(?!=))")
_BASE = re.compile(_NAME)
# A word that may stand in a Fortran list: a number, a logical, a name.
_FORTRAN_WORD = re.compile(
    r"[+-]?(?:\d++(?:\.\d*+)?+|\.\d++)(?:[ed][+-]?\d+)?|\.(?:true|false|t|f)\.|[a-z_]\w*", re.IGNORECASE | re.ASCII
)
_CONTINUES_LIST = re.compile(r"[+-]?\.?\d|\.(?:true|false|t|f)\.|[\"'“‘„]|,", re.IGNORECASE | re.ASCII)
#: After so many lines that are no assignments, the rest of a section is not looked at.
MAX_REFUSED = 20
_CLOSES = {"(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True, slots=True)
class Assignment:
    """One ``key = value``.

    target: the left side as written, with its indices: ``x(2)``. text: the value as written, comments removed.
    line: where the key stands, None for the command line. inline: whether another assignment precedes it in its line.
    broken: whether a quote or bracket in the value is not closed, which has been reported; its text means nothing.
    """

    target: str
    text: str
    line: int | None
    inline: bool = False
    broken: bool = False

    @property
    def key(self) -> str:
        """The name that is assigned to, without indices: ``x``."""
        match = _BASE.match(self.target)
        assert match is not None
        return match[0]

    def complain(self, message: str, file: Path, complaints: Complaints) -> None:
        """Record a mistake in this assignment where it stands: in `file`, or on the command line."""
        if self.line is None:
            complaints.error(f"{self.target}={self.text}: {message}")
        else:
            complaints.error(message, file, self.line)


def parse(body: str, first_line: int, file: Path, complaints: Complaints) -> list[Assignment]:
    """Return the assignments of a section's body, whose first line is line `first_line` of `file`."""
    return list(_Scanner(body, first_line, file, complaints).assignments())


class _Scanner:
    """Walks over the tokens of a body once; `_at` is the position of the next character."""

    def __init__(self, body: str, first_line: int, file: Path, complaints: Complaints) -> None:
        self._body = body
        self._at = 0
        self._line = first_line
        self._file = file
        self._complaints = complaints
        self._refused = 0

    def assignments(self) -> Iterator[Assignment]:
        line_of_last = -1
        while self._skip_to_statement():
            match = _KEY.match(self._body, self._at)
            if match is None:
                self._refuse_line()
                if self._refused == MAX_REFUSED:
                    return
                continue
            line, target = self._line, "".join(match["key"].split())
            self._at = match.end()
            value = self._value()
            yield Assignment(target, value.text, line, inline=line == line_of_last, broken=value.broken)
            line_of_last = line

    def _skip_to_statement(self) -> bool:
        """Move over blanks, comments and separating commas; False at the end of the body."""
        while match := TOKEN.match(self._body, self._at):
            if match.lastgroup not in ("newline", "blank", "comment", "comma"):
                return True
            self._move(match)
        return False

    def _move(self, match: re.Match[str]) -> None:
        self._at = match.end()
        self._line += match.lastgroup == "newline"

    def _refuse_line(self) -> None:
        """Complain of the rest of the line, which is no assignment, and go on behind it."""
        self._refused += 1
        self._error(f"expected 'key = value', found '{shorten(self._rest_of_line())}'")

    def _error(self, message: str) -> None:
        self._complaints.error(message, self._file, self._line)

    def _value(self) -> _Value:
        """Return the value that begins here, and stop behind it."""
        value = _Value()
        while match := TOKEN.match(self._body, self._at):
            kind, text = match.lastgroup, match[0]
            if kind == "newline":
                if not self._goes_on(value):
                    break
                value.add("newline", text)
                continue
            if kind == "unclosed":
                value.broken = True
                self._refuse_quote()
                continue
            if kind == "word" and value.may_end_before_key and _INLINE_KEY.match(self._body, self._at):
                break
            if kind in ("open", "close"):
                self._bracket(value, kind, text)
            if kind != "comment":
                value.add(kind or "", text)
            self._move(match)
        self._refuse_open_bracket(value)
        return value

    def _refuse_quote(self) -> None:
        """Complain of a quote that does not close, and move to the end of its line."""
        self._error(f"this quote is not closed in its line: {shorten(self._rest_of_line())}")

    def _rest_of_line(self) -> str:
        """Move to the end of the line, and return what was passed."""
        start, end = self._at, self._body.find("\n", self._at)
        self._at = len(self._body) if end < 0 else end
        return self._body[start : self._at]

    def _bracket(self, value: _Value, kind: str, text: str) -> None:
        if kind == "open":
            value.brackets.append((text, self._line))
        elif value.brackets and _CLOSES[value.brackets[-1][0]] == text:
            value.brackets.pop()
        else:
            self._error(f"'{text}' closes a bracket that was not opened")
            value.broken = True
            value.brackets.clear()

    def _refuse_open_bracket(self, value: _Value) -> None:
        if value.brackets:
            value.broken = True
            bracket, line = value.brackets[0]
            self._complaints.error(f"'{bracket}' is never closed", self._file, line)

    def _goes_on(self, value: _Value) -> bool:
        """At a line's end: move to the next content and return True when that still belongs to the value."""
        ahead, lines = self._at, 0
        while (match := TOKEN.match(self._body, ahead)) and match.lastgroup in ("newline", "blank", "comment"):
            ahead = match.end()
            lines += match.lastgroup == "newline"
        if ahead == len(self._body) or _KEY_ON_LINE[bool(value.brackets)].match(self._body, ahead):
            return False
        listed = value.fortran and _CONTINUES_LIST.match(self._body, ahead)
        if value.brackets or value.ends_with_comma or value.empty or listed:
            self._at, self._line = ahead, self._line + lines
            return True
        return False


#: What ends a value at the beginning of a line: any assignment; inside of brackets, where ``key: value`` may be a
#: dictionary's, only ``key =``.
_KEY_ON_LINE = {False: _KEY, True: _INLINE_KEY}


class _Value:
    """The value being collected, and what has to be known of it to find its end."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._items = 0
        self._last = ""
        self._in_item = False
        self.fortran = True
        self.broken = False
        self.brackets: list[tuple[str, int]] = []

    def add(self, kind: str, text: str) -> None:
        """Append a token."""
        self._parts.append(text)
        if kind in ("blank", "newline"):
            self._in_item = False
            return
        outside = len(self.brackets) == (kind == "open")  # an opening bracket is already counted there
        if outside and not self._in_item and kind not in ("comma", "close"):
            self._items += 1
        self._in_item = kind != "comma"
        self.fortran = self.fortran and self._is_fortran(kind, text)
        self._last = kind

    @staticmethod
    def _is_fortran(kind: str, text: str) -> bool:
        if kind == "word":
            return _FORTRAN_WORD.fullmatch(text) is not None
        return kind in ("comma", "quoted", "repeat")

    @property
    def text(self) -> str:
        """The collected text, without the blanks around it and a comma behind it."""
        return "".join(self._parts).strip().removesuffix(",").rstrip()

    @property
    def empty(self) -> bool:
        return not self._last

    @property
    def ends_with_comma(self) -> bool:
        return self._last == "comma"

    @property
    def may_end_before_key(self) -> bool:
        """Whether ``key =`` here begins another assignment: behind a Fortran list, or behind a single item."""
        separated = not self._in_item
        return separated and not self.empty and not self.brackets and (self.fortran or self._items == 1)


def shorten(text: str, length: int = 60) -> str:
    """Return `text` in one line of at most `length` characters, for a message."""
    text = " ".join(text[: 4 * length].split())
    return text if len(text) <= length else text[: length - 1] + "…"
