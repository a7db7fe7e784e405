"""UPF: one JSON object a line, each one point. Rows may have different keys, and may lack an `id`."""

from __future__ import annotations

import json
import re
from typing import Any

from hpo.inputfile.spaces.base import BOM, MAX_MISTAKES, Source
from hpo.inputfile.spaces.json_text import decoder, hint
from hpo.space import Rows, default_id
from hpo.space.texts import list_in_text

_ID = re.compile(r"[A-Za-z0-9_+=-][A-Za-z0-9_.+=-]*")
_MAX_ID = 200
#: So many texts that are read as lists are kept to be shown.
_SHOWN = 20


def matches(source: Source) -> bool:
    """Return whether the first line with content begins a JSON object."""
    return source.first_content.startswith("{")


def read(source: Source) -> Rows | None:
    """Return the rows; mistakes are reported with their lines."""
    reader = _Reader(source)
    for number, line in enumerate(source.body.removeprefix(BOM).splitlines(), 1):
        stripped = line.strip()
        if stripped == b"{":
            source.error("a row stands in one line, from { to }; this one does not end in its line", number)
            return None
        if stripped and stripped[:1] not in (b"#", b"!"):
            reader.add(stripped, number)
        if reader.mistakes >= MAX_MISTAKES:
            source.error("the rows after this one were not looked at", number)
            return None
    return reader.finish()


class _Reader:
    """Checks rows one after the other; keeps their bytes and what must be known of all of them together."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.mistakes = 0
        self.lines: list[bytes] = []
        self.names: dict[str, None] = {}
        self.folded: dict[str, str] = {}
        self.lists: dict[tuple[str, str], None] = {}
        self.ids: dict[str, int] = {}
        self.numbered: list[tuple[int, int]] = []  # (row, line) of the rows without an id
        self.decoder = decoder()

    def add(self, line: bytes, number: int) -> None:
        """Check the row in `line`, which stands in line `number` of the body, and keep it."""
        try:
            row, end = self._decoded(line)
        except (ValueError, RecursionError) as error:
            self._mistake(_explained(error, line), number)
            return
        if not isinstance(row, dict):
            self._mistake(f"a row is a JSON object {{…}}, not {line[:40].decode('utf-8', 'replace')!r}", number)
            return
        self._take_id(row.pop("id", None), number)
        self._take_names(row, number)
        self.lines.append(line[:end])

    def finish(self) -> Rows | None:
        """Return the rows, when there were no mistakes."""
        for row, number in self.numbered:
            if default_id(row) in self.ids:
                line = self.source.first_line + self.ids[default_id(row)] - 1
                self._mistake(f"this row has no id and so is {default_id(row)!r}, which line {line} has taken", number)
        if not self.lines and not self.mistakes:
            self._mistake("there is no row", 1)
        if self.mistakes:
            return None
        return Rows(b"\n".join(self.lines) + b"\n", list(self.names), list(self.lists))

    def _decoded(self, line: bytes) -> tuple[Any, int]:
        """Return the object, and where it ends in the line; behind it a comma or a comment may stand."""
        text = line.decode("utf-8")
        row, end = self.decoder.raw_decode(text)
        if "\\u" in text:
            json.dumps(row, ensure_ascii=False).encode()  # half a character, such as "\\ud800", cannot be written
        rest = text[end:]
        if rest and not re.fullmatch(r"\s*,?\s*([#!].*)?", rest):
            raise ValueError(f"{rest.strip()[:40]!r} stands behind the row")
        return row, len(text[:end].encode()) if rest else len(line)

    def _take_id(self, given: Any, number: int) -> None:
        if given is None:
            self.numbered.append((len(self.lines), number))
            return
        if isinstance(given, bool) or not isinstance(given, str | int):
            self._mistake(f"an id is a text, not {given!r}", number)
            return
        name = str(given)
        if not _ID.fullmatch(name) or len(name) > _MAX_ID:
            what = "has letters, digits and _ . + = - only, does not begin with a dot, and is at most 200 long"
            self._mistake(f"the id {name[:80]!r} cannot name a folder: an id {what}", number)
        elif name in self.ids:
            self._mistake(
                f"the id {name!r} is given twice; line {self.source.first_line + self.ids[name] - 1} has it", number
            )
        else:
            self.ids[name] = number

    def _take_names(self, row: dict[str, Any], number: int) -> None:
        for name, value in row.items():
            if name not in self.names:
                self._take_name(name, number)
            if isinstance(value, str) and len(self.lists) < _SHOWN and list_in_text(value) is not None:
                self.lists[name, value] = None

    def _take_name(self, name: str, number: int) -> None:
        if not name:
            self._mistake("a hyperparameter has an empty name", number)
        other = self.folded.setdefault(name.casefold(), name)
        if other != name:
            self._mistake(f"{name!r} and {other!r} differ only in case", number)
        self.names[name] = None

    def _mistake(self, message: str, number: int) -> None:
        self.mistakes += 1
        self.source.error(message, number)


def _explained(error: Exception, line: bytes) -> str:
    """Return the sentence for what went wrong, with the likely reason."""
    if isinstance(error, RecursionError):
        return "this row is nested too deeply"
    if isinstance(error, UnicodeEncodeError):
        return "this row holds half a character (a lone surrogate)"
    if isinstance(error, UnicodeDecodeError):
        return f"this row is not UTF-8 (byte {error.start + 1})"
    if not isinstance(error, json.JSONDecodeError):
        return str(error)
    reason = hint(error.doc, error)
    if not reason and error.pos >= len(line.decode("utf-8").rstrip()) - 1:
        reason = "; a row stands in one line, from { to }"
    return f"this is no JSON object: {error.msg} at column {error.pos + 1}{reason}"
