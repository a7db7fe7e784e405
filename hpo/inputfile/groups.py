"""The sections of an input file: ``&control … /``, ``&default_model … /``, ``&param_space … /``.

A section begins with a line ``&name`` and ends with a line ``/`` or ``&end``. As in any Fortran namelist its first
assignment may stand behind the name, and the ``/`` behind the last value. Only the first and last words of lines are
looked at, never what stands in between, so that a parameter space of 150 000 rows is cut out at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path

from hpo.errors import Complaints, did_you_mean

NAMES = ("control", "default_model", "param_space")

_HEADER = re.compile(rb"[^\S\n]*&[^\S\n]*([A-Za-z_]\w*)(.*)", re.DOTALL)
_BARE_HEADER = re.compile(rb"\s*([!#].*)?\Z", re.DOTALL)
_TERMINATOR = re.compile(rb"[^\S\n]*(?:/|&[^\S\n]*end\b)[^\S\n]*(?:[#!].*)?\Z", re.IGNORECASE | re.DOTALL)
_NOTHING = re.compile(rb"\s*(?:[#!].*)?\Z", re.DOTALL)
# A '/' behind a value ends the section only where it cannot belong to a path: after a blank, a quote, a bracket or a
# plain number. It must be the last thing in the line, a comment excepted.
_ATTACHED = re.compile(
    rb"(?:\s|[\"'\])}]|(?:^|[\s=,])[-+.\d][\d.eEdD+-]*|\.(?:true|false|t|f)\.)(/|\s&end)\s*(?:[#!][^\"']*)?\Z",
    re.IGNORECASE,
)
_TAIL = 1000  # bytes of a line in which that is sought
_MAX_SECTIONS = 20  # in a file with more of them, the first mistakes are enough


@dataclass(frozen=True, slots=True)
class Section:
    """A section's body, without its header and terminator.

    name: one of `NAMES`. line: of the header. first_line: of the body's first line. body: the text in between, lines
    separated by a newline alone.
    """

    name: str
    line: int
    first_line: int
    body: bytes


def split(data: bytes, file: Path, complaints: Complaints) -> dict[str, Section]:
    """Cut the text of an input file into its sections, by name; every mistake goes to `complaints`."""
    lines = data.removeprefix(b"\xef\xbb\xbf").splitlines()
    sections: dict[str, Section] = {}
    for start, end in islice(_spans(lines, file, complaints), _MAX_SECTIONS):
        section = _cut(lines, start, end, file, complaints)
        if section is None:
            continue
        if section.name in sections:
            first = sections[section.name].line
            complaints.error(f"section &{section.name} is opened twice; it is already in line {first}", file, start + 1)
        else:
            sections[section.name] = section
    return sections


def _spans(lines: list[bytes], file: Path, complaints: Complaints) -> Iterator[tuple[int, int]]:
    """Yield (header, end) line indices: each section reaches at most to the next header or the end of the file."""
    headers = [i for i, line in enumerate(lines) if _opens(line)]
    outside = headers[0] if headers else len(lines)
    _refuse_text(lines, 0, outside, file, complaints)
    yield from pairwise([*headers, len(lines)])


def _opens(line: bytes) -> bool:
    """Whether a section begins here: a known name, or any name alone in its line (``& x > 1`` is R, no header)."""
    if b"&" not in line[:80]:
        return False
    match = _HEADER.match(line)
    if match is None or match[1].lower() == b"end":
        return False
    return match[1].decode().lower() in NAMES or _BARE_HEADER.match(match[2]) is not None


def _cut(lines: list[bytes], start: int, end: int, file: Path, complaints: Complaints) -> Section | None:
    """Return the section whose header is line `start` and which ends before line `end`."""
    match = _HEADER.match(lines[start])
    assert match is not None
    name = match[1].decode().lower()
    body = [match[2], *lines[start + 1 : end]]
    length = _length(body)
    if length is None:
        place = f"before line {end + 1}" if end < len(lines) else f"behind line {_last(lines, start)}"
        message = f"section &{name} is never closed; a line that holds '/' alone is missing {place}"
        complaints.error(message, file, start + 1)
    else:
        _refuse_text(lines, start + length + 1, end, file, complaints)
        body = body[:length]
    meant = name if name in NAMES else _misspelt(name, file, start + 1, complaints)
    return Section(meant, start + 1, start + 1, b"\n".join(body)) if meant else None


def _misspelt(name: str, file: Path, line: int, complaints: Complaints) -> str | None:
    """Complain of an unknown section; return the one that was probably meant, so that its mistakes are found, too."""
    near = did_you_mean(name, NAMES)
    wanted = near or f" The sections are {', '.join('&' + known for known in NAMES)}."
    complaints.error(f"unknown section &{name}.{wanted}", file, line)
    return next((known for known in NAMES if repr(known) in near), None)


def _last(lines: list[bytes], start: int) -> int:
    """Return the number, from 1, of the last line with content from `start` on, which itself has some."""
    return next(i for i in range(len(lines), start, -1) if not _NOTHING.match(lines[i - 1]))


def _length(body: list[bytes]) -> int | None:
    """Return how many lines of `body` belong to it, an attached '/' removed; None when nothing closes it."""
    for i, line in enumerate(body):
        if _TERMINATOR.match(line):
            return i
    for i in range(len(body) - 1, -1, -1):
        if not _NOTHING.match(body[i]):
            return i + 1 if _detach(body, i) else None
    return None


def _detach(body: list[bytes], i: int) -> bool:
    """Remove the '/' that stands behind the last value of line `i`; False when there is none."""
    rest, tail = body[i][:-_TAIL], body[i][-_TAIL:]
    attached = _ATTACHED.search(tail)
    if attached is None or re.search(rb"[#!]", tail[: attached.start(1)]):
        return False
    body[i] = rest + tail[: attached.start(1)]
    return True


def _refuse_text(lines: list[bytes], start: int, end: int, file: Path, complaints: Complaints) -> None:
    """Complain of the first line from `start` on that holds more than a comment, outside of any section."""
    for i in range(start, end):
        if not _NOTHING.match(lines[i]):
            text = lines[i].decode("utf-8", "replace").strip()[:40]
            complaints.error(f"text outside of a section: '{text}'", file, i + 1)
            return
