"""The types of &control keywords: text -> value, with a sentence when it is none."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hpo.errors import did_you_mean, nearest
from hpo.inputfile.values import BadValue, read_value


@dataclass(frozen=True, slots=True)
class Type:
    """What values a keyword takes.

    name: for help and documentation. read: text without its quotes -> value; raises `BadValue` with the end of a
    sentence that begins with the keyword's name. show: the value as a user would write it. is_path: relative text is
    relative to the input file. are_paths: the same for each of several, separated by ':'.
    """

    name: str
    read: Callable[[str], Any]
    show: Callable[[Any], str] = str
    is_path: bool = False
    are_paths: bool = False


def _scalar(text: str) -> Any:
    """Return the number or word that `text` is, or None when it is neither."""
    try:
        return read_value(text)
    except BadValue:
        return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def integer(minimum: int) -> Type:
    """Return the type of whole numbers from `minimum` on; ``1e3`` is one."""
    kind = f"a whole number, {minimum} or more"

    def read(text: str) -> int:
        value = _scalar(text)
        if not _is_number(value) or value != value or value in (float("inf"), float("-inf")):
            raise BadValue(f"must be {kind}, not '{text}'")
        if value != int(value) or value < minimum:
            raise BadValue(f"must be {kind}, not {text}")
        return int(value)

    return Type(kind, read)


def _read_hours(text: str) -> float:
    value = _scalar(text)
    if not _is_number(value) or not 0 < value < float("inf"):
        raise BadValue(f"must be a number of hours above 0, not '{text}'")
    return float(value)


def _read_probability(text: str) -> float:
    value = _scalar(text)
    if not _is_number(value) or not 0 < value < 1:
        raise BadValue(f"must be a number between 0 and 1, not '{text}'")
    return float(value)


def _read_boolean(text: str) -> bool:
    folded = text.casefold().strip(".")
    if folded in ("1", "true", "t", "yes", "y", "on"):
        return True
    if folded in ("0", "false", "f", "no", "n", "off"):
        return False
    raise BadValue(f"must be 1 or 0 (or .true., yes, on, …), not '{text}'")


_UNITS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_SIZE = re.compile(r"(?P<number>[\d.]+(?:e[+-]?\d+)?)\s*(?P<unit>[kmgt]?)(?P<binary>i?)b?", re.IGNORECASE | re.ASCII)


def _bytes(text: str, bare_unit: float) -> float | None:
    """Return the bytes that `text` names, `bare_unit` of them where it has no unit; None if it is no size."""
    match = _SIZE.fullmatch(text.strip())
    if match is None or text.strip()[-1] in "iI":
        return None
    try:
        number = float(match["number"])
    except ValueError:
        return None
    if text.strip()[-1].isdigit() or text.strip()[-1] == ".":
        return number * bare_unit
    return number * float(1024 if match["binary"] else 1000) ** _UNITS[match["unit"].lower()]


def _read_size(text: str) -> int:
    size = _bytes(text, 1)
    if size is None or not 1 <= size < 1e18:
        raise BadValue(f"must be a size such as 100 MB, or a number of bytes, not '{text}'")
    return int(size)


def _show_size(size: int) -> str:
    for exponent, unit in ((3, "GB"), (2, "MB"), (1, "kB")):
        if size >= 1000**exponent and size % 1000**exponent == 0:
            return f"{size // 1000**exponent} {unit}"
    return str(size)


def _read_gigabytes(text: str) -> float:
    size = _bytes(text, 1e9)
    if size is None or not 0 < size < 1e15:
        raise BadValue(f"must be a number of GB above 0, not '{text}'")
    return size / 1e9


_CLOCK = re.compile(r"(?:(?P<days>\d{1,4})-)?(?P<fields>\d{1,6}(?::\d{1,6}){0,2})", re.ASCII)


def _clock_seconds(text: str) -> int | None:
    """Return the seconds of ``HH:MM:SS``, ``HH:MM``, ``D-HH``, ``D-HH:MM`` or ``D-HH:MM:SS``; None if it is none."""
    match = _CLOCK.fullmatch(text.strip())
    if match is None or (match["days"] is None and ":" not in match["fields"]):
        return None
    hours, minutes, seconds = (*map(int, match["fields"].split(":")), 0, 0)[:3]
    return ((int(match["days"] or 0) * 24 + hours) * 60 + minutes) * 60 + seconds


def _plain_seconds(text: str, unit: int) -> int | None:
    value = _scalar(text)
    return round(value * unit) if _is_number(value) and 0 < value < 1e9 else None


def _read_walltime(text: str) -> int:
    seconds = _clock_seconds(text) or _plain_seconds(text, 60)
    if not seconds:
        raise BadValue(f"must be a time such as 01:30:00 (HH:MM:SS), 01:30 (HH:MM) or 2-00:00:00, not '{text}'")
    return seconds


def _read_timeout(text: str) -> int:
    seconds = _clock_seconds(text) or _plain_seconds(text, 1)
    if not seconds:
        raise BadValue(f"must be a number of seconds or a time such as 00:10:00 (HH:MM:SS), not '{text}'")
    return seconds


def show_time(seconds: int) -> str:
    """Return a time as HH:MM:SS; hours may be more than 24."""
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def _read_text(text: str) -> str:
    if text[0] in "'\"":
        read_value(text)  # raises what is wrong with the quotes
    return text


def _read_arguments(text: str) -> str:
    try:
        shlex.split(_read_text(text))
    except ValueError as error:
        raise BadValue(f"cannot be split into words as a shell does it: {str(error).lower()}") from None
    return text


def _read_words(text: str) -> list[str]:
    """Return the words of ``a b``, ``a, b`` or ``['a', 'b']``."""
    value = read_value(text) if text[0] in "['\"" else re.split(r"[\s,]+", text.strip(", "))
    return [str(word) for word in value] if isinstance(value, list | tuple) else str(value).split()


def choice(*names: str, older: dict[str, str] | None = None) -> Type:
    """Return the type of one of `names`, in any letter case; `older` maps former spellings to one of them."""
    accepted = {name.casefold(): name for name in names}
    accepted |= {old.casefold(): name for old, name in (older or {}).items()}

    def read(text: str) -> str:
        if text.casefold() not in accepted:
            message = f"must be one of {', '.join(names)}, not '{text}'.{did_you_mean(text, accepted)}"
            raise BadValue(message.removesuffix("."), meant=accepted.get(nearest(text, accepted) or ""))
        return accepted[text.casefold()]

    return Type(" | ".join(names), read)


def each(*names: str) -> Type:
    """Return the type of words that each are one of `names`, in any letter case."""
    one = choice(*names)

    def read(text: str) -> list[str]:
        words = _read_words(text)
        try:
            return [one.read(word) for word in words]
        except BadValue as error:
            meant = [_meant(one, word) for word in words]
            raise BadValue(str(error), meant=None if None in meant else meant) from None

    return Type(f"{one.name}, …", read, " ".join)


def _meant(one: Type, word: str) -> Any:
    """What a word is, or probably was to be; None without a guess."""
    try:
        return one.read(word)
    except BadValue as error:
        return error.meant


BOOLEAN = Type("0 or 1", _read_boolean, show=lambda value: str(int(value)))
TEXT = Type("text", _read_text)
ARGUMENTS = Type("text", _read_arguments)
WORDS = Type("words", _read_words, show=" ".join)
PATH = Type("path", _read_text, is_path=True)
PATHS = Type("paths", _read_text, are_paths=True)
COUNT = integer(1)
COUNT_OR_ZERO = integer(0)
HOURS = Type("hours", _read_hours)
PROBABILITY = Type("number from 0 to 1", _read_probability)
GIGABYTES = Type("GB", _read_gigabytes, show="{:g}".format)
SIZE = Type("size", _read_size, show=_show_size)
WALLTIME = Type("HH:MM:SS", _read_walltime, show=show_time)
TIMEOUT = Type("seconds or HH:MM:SS", _read_timeout, show=show_time)
