"""&default_model: the model's hyperparameters as they are without a search, from the section or from a file.

The file is in INI form (``[Global_Params]`` and any other headers, ``key = value`` or ``key: value``), as CANDLE and
IMPROVE models have it; its sections are taken together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hpo.errors import Complaints
from hpo.inputfile.assignments import Assignment, shorten
from hpo.inputfile.values import BadValue, read_indexed, read_value

#: The keywords by which a section &default_model names a file in its place.
FILE_KEYS = ("candle_default_model_file", "default_model_file")

_HEADER = re.compile(r"\[(?P<name>[^\]]*)\]\s*(?:[#;].*)?\Z")
_ENTRY = re.compile(r"(?P<key>[^\s=:#;\[{('\",][^=:]*?)\s*[=:](?!=)(?P<text>.*)\Z", re.DOTALL)
_COMMENT = re.compile(r"\s*(?:[#;]|\Z)")
_QUOTED = r"'(?:[^'\\\n]|\\.)*+'|\"(?:[^\"\\\n]|\\.)*+\""
# A '#' begins a comment at the beginning of a value and behind a blank; in quotes and in 'a#b' it is text.
_INLINE = re.compile(rf"{_QUOTED}|(?P<comment>(?:(?<=\s)|\A)#.*)")
_BRACKET = re.compile(rf"{_QUOTED}|(?P<open>[\[({{])|(?P<close>[\])}}])")
_LISTED = re.compile(rf"(?:{_QUOTED}|[\w.+-]*\d[\w.+-]*)(?:\s*,\s*(?:{_QUOTED}|[\w.+-]*\d[\w.+-]*))+", re.ASCII)
#: The most that a default model file may hold.
MAX_BYTES = 4_000_000


def read_section(assignments: Sequence[Assignment], file: Path, complaints: Complaints) -> dict[str, Any]:
    """Return what the assignments of &default_model mean, keys in their own letter case."""
    groups: dict[str, list[Assignment]] = {}
    for each in assignments:
        if not each.broken:
            groups.setdefault(each.key.casefold(), []).append(each)
    defaults = {}
    for group in groups.values():
        try:
            defaults[group[0].key] = _read_group(group)
        except BadValue as error:
            group[-1].complain(f"'{group[-1].target}' {error}", file, complaints)
    return defaults


def _read_group(group: list[Assignment]) -> Any:
    """Return the value of all assignments to one name; several are for parts of it: ``x(1) = 3``, ``x(2) = 5``."""
    first, last = group[0], group[-1]
    for each in group[1:]:
        if each.key != first.key:
            raise BadValue(f"differs from '{first.key}' in line {first.line} only in letter case")
    if len({each.target for each in group}) < len(group):
        raise BadValue(f"is given twice, first in line {first.line}")
    return read_value(last.text) if last.target == last.key == first.target else read_indexed(group)


def read_file(data: bytes, file: Path, complaints: Complaints) -> dict[str, Any]:
    """Return the defaults that an INI file holds, all its sections taken together."""
    defaults: dict[str, Any] = {}
    lines: dict[str, tuple[str, str, int]] = {}
    for key, text, line in _entries(decode(data).split("\n"), file, complaints):
        known, value, first = lines.setdefault(key.casefold(), (key, text, line))
        if known != key:
            complaints.error(f"'{key}' differs from '{known}' in line {first} only in letter case", file, line)
        elif first == line:
            _add(defaults, key, text, file, line, complaints)
        elif text != value:  # IMPROVE's models repeat the same values in [Preprocess], [Train] and [Infer]
            complaints.warn(f"'{key}' is given twice; the value of line {first} is used", file, line)
    return defaults


def decode(data: bytes) -> str:
    """Return `data` as text; what is not UTF-8 is read as Windows' Latin, in which old editors saved."""
    data = data.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def _add(defaults: dict[str, Any], key: str, text: str, file: Path, line: int, complaints: Complaints) -> None:
    if key.casefold() in FILE_KEYS:
        complaints.error(f"'{key}': a default model file cannot name another one", file, line)
    elif not text:
        complaints.warn(f"'{key}' has no value; it is read as an empty text", file, line)
        defaults[key] = ""
    else:
        try:
            defaults[key] = read_value(f"({text})" if _LISTED.fullmatch(text) else text, fortran=False)
        except BadValue as error:
            complaints.error(f"'{key}' {error}", file, line)


def _entries(lines: list[str], file: Path, complaints: Complaints) -> Iterator[tuple[str, str, int]]:
    """Yield (key, text, line) for every entry, its continued lines joined and its comments removed."""
    i = 0
    while i < len(lines):
        line, i = lines[i], i + 1
        if _COMMENT.match(line) or _HEADER.match(line.strip()):
            continue
        entry = _ENTRY.match(line.strip())
        if entry is None:
            complaints.error(f"expected 'key = value' or '[section]', found '{shorten(line.strip())}'", file, i)
            continue
        first = i
        text, depth = _content(entry["text"], 0)
        while i < len(lines) and _continues(line, lines[i], depth):
            more, depth = _content(lines[i], depth)
            text, i = f"{text}\n{more}", i + 1
        yield entry["key"], text.strip(), first


def _content(text: str, depth: int) -> tuple[str, int]:
    """Return a line of a value without its comment, and how many brackets are open behind it."""
    for match in _INLINE.finditer(text):
        if match["comment"]:
            text = text[: match.start()]
            break
    for match in _BRACKET.finditer(text):
        depth += bool(match["open"]) - bool(match["close"])
    return text.strip(), depth


def _continues(entry: str, line: str, depth: int) -> bool:
    """Whether `line` belongs to the entry that began with the line `entry`: a bracket is open, or it is indented."""
    assigns = _ENTRY.match(line.strip()) is not None
    if depth > 0:
        return not (assigns and "=" in line and line[:1].strip()) and not _HEADER.match(line)
    return _indent(line) > _indent(entry) and bool(line.strip()) and not _COMMENT.match(line) and not assigns


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
