"""The layout of the native form: where a statement and its parts begin and end.

The tokens are those of the other sections (`hpo.inputfile.assignments`): the same quotes, brackets and comments.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hpo.inputfile.assignments import TOKEN
from hpo.inputfile.spaces.base import Mistake, Source
from hpo.inputfile.values import unquote

#: ``name =``; a name that is no plain word stands in quotes.
HEAD = re.compile(r"""(?P<name>[^\W\d][\w.\-]*|'(?:[^'\n]|'')+'|"(?:[^"\n]|"")+")[^\S\n]*(?:=(?!=)|:)""")
_CLOSES = {"(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True, slots=True)
class Statement:
    """``name = text``, comments removed; `line` counts from 1 within the body."""

    name: str
    text: str
    line: int


def statements(source: Source, fail: Callable[[str, int | None], None]) -> Iterator[Statement]:
    """Yield the statements of a body; mistakes in the layout go to `fail`, with their lines."""
    scanner = _Scanner(source)
    while scanner.skip_to_statement():
        try:
            yield scanner.statement()
        except Mistake as mistake:
            fail(str(mistake), mistake.line)
            scanner.skip_line()


class _Scanner:
    def __init__(self, source: Source) -> None:
        self.text = source.text
        self.at = 0
        self.line = 1

    def skip_to_statement(self) -> bool:
        """Move to the next token that is no blank, comment or comma; False at the end."""
        while match := TOKEN.match(self.text, self.at):
            if match.lastgroup not in ("newline", "blank", "comment", "comma"):
                return True
            self._move(match)
        return False

    def skip_line(self) -> None:
        """Move to the end of the line."""
        end = self.text.find("\n", self.at)
        self.at = len(self.text) if end < 0 else end

    def statement(self) -> Statement:
        """Return the statement that begins here; raise `Mistake` when it is none."""
        head = HEAD.match(self.text, self.at)
        if head is None:
            found = self.text[self.at :].split("\n", 1)[0].strip()
            raise Mistake(f"expected 'name = …', found {found[:60]!r}", self.line)
        line, name = self.line, unquote(head["name"]) or head["name"]
        self.at = head.end()
        return Statement(name, self._value(line), line)

    def _value(self, line: int) -> str:
        parts: list[str] = []
        brackets: list[str] = []
        while match := TOKEN.match(self.text, self.at):
            kind, text = match.lastgroup, match[0]
            if kind == "comment" and text.startswith("!=") and "".join(parts).strip():
                parts.append("!=")
                self.at += 2
                continue
            if kind == "newline" and not brackets:
                break
            if kind == "unclosed":
                raise Mistake("a quote is never closed", self.line)
            if kind == "open":
                brackets.append(text)
            elif kind == "close" and (not brackets or _CLOSES[brackets.pop()] != text):
                raise Mistake(f"{text!r} closes no bracket", self.line)
            if kind != "comment":
                parts.append(text)
            self._move(match)
        if brackets:
            raise Mistake(f"{brackets[-1]!r} is never closed", line)
        return "".join(parts).strip().removesuffix(",").rstrip()

    def _move(self, match: re.Match[str]) -> None:
        self.at = match.end()
        self.line += match.lastgroup == "newline"


def split_outside(text: str, separator: str, most: int = -1) -> list[str]:
    """Cut `text`, at most so often, at a word or comma outside of quotes and brackets; the parts are stripped."""
    parts: list[str] = []
    begin = at = depth = 0
    while match := TOKEN.match(text, at):
        at = match.end()
        depth += {"open": 1, "close": -1}.get(match.lastgroup or "", 0)
        if depth == 0 and match[0] == separator and len(parts) != most:
            parts.append(text[begin : match.start()].strip())
            begin = at
    return [*parts, text[begin:].strip()]
