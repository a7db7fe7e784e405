"""Reading what a user names as a file, without ever hanging or filling the memory."""

from __future__ import annotations

import difflib
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from hpo.errors import did_you_mean

#: The most that an input file or a parameter-space file may hold; 150 000 rows with 20 parameters are about 60 MB.
MAX_BYTES = 256_000_000

#: How much two names without their suffixes have in common when one may be meant for the other.
_ALIKE = 0.6

_KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


class Unreadable(Exception):
    """The file cannot be read; the text is the second half of a sentence that begins with its name."""


def read_bytes(path: Path, limit: int = MAX_BYTES) -> bytes:
    """Return the contents of a regular file of at most `limit` bytes; raise `Unreadable` for anything else."""
    try:
        # Without O_NONBLOCK, opening a pipe that nobody writes to would wait for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            _refuse_irregular(os.fstat(descriptor).st_mode)
            data = file.read(limit + 1)
    except IsADirectoryError as error:
        raise Unreadable("is a directory, not a file") from error
    except FileNotFoundError as error:
        raise Unreadable(f"does not exist.{nearest_file(path)}") from error
    except (OSError, ValueError) as error:
        raise Unreadable(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if len(data) > limit:
        raise Unreadable(f"is larger than {limit // 1_000_000} MB")
    return data


def nearest_file(path: Path, others: Iterable[str] = ()) -> str:
    """Return " Did you mean '…'?" for the most similar name in the folder of `path` or among `others`, or ""."""
    try:
        beside = os.listdir(path.parent)
    except (OSError, ValueError):
        beside = []
    return did_you_mean(path.name, [name for name in (*beside, *others) if _alike(Path(name).stem, path.stem)])


def _alike(stem: str, other: str) -> bool:
    """Whether names are near without their suffixes, which alone make short names look alike."""
    return difflib.SequenceMatcher(None, stem.casefold(), other.casefold()).ratio() >= _ALIKE


def _refuse_irregular(mode: int) -> None:
    for matches, kind in _KINDS:
        if matches(mode):
            raise Unreadable(f"is {kind}, not a file")
