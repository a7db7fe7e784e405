"""What a trial prints, kept within bounds: the head and the tail of it."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

#: Bytes that are always kept: there must be room for the line that tells what was dropped.
_LEAST = 4096
_MARK = "\n[hpo: {} bytes of output were dropped here; max_output = {}]\n"


class OutputFile:
    """Takes all that a trial prints; its file never grows far beyond `limit` bytes.

    Half of the limit is for the head. When the file is full, all behind the head but the last quarter of the limit is
    dropped, and a line says how much: the file reads in order at any moment, and is whole when its writer is killed.
    live: write to our own standard output as well, at once. resumed: the file of an earlier part is continued.
    """

    def __init__(self, path: Path, limit: int, *, live: bool = False, resumed: bool = False) -> None:
        self._file = path.open("r+b" if resumed and path.exists() else "w+b")
        self._limit = max(limit, _LEAST)
        self._head = self._limit // 2
        self._written = self._size = self._file.seek(0, os.SEEK_END)
        self._live = live
        self._broken: OSError | None = None

    def write(self, data: bytes) -> None:
        """Append bytes as they came. A full disk is remembered; the script is not blocked by it."""
        if self._live:
            self._show(data)
        if self._broken is None:
            try:
                self._append(data)
            except OSError as error:
                self._broken = error

    def close(self) -> OSError | None:
        """Close the file; return why it is not complete, if it is not."""
        try:
            self._file.close()
        except OSError as error:
            return self._broken or error
        return self._broken

    def _append(self, data: bytes) -> None:
        self._file.write(data)
        self._written += len(data)
        self._size += len(data)
        if self._size > self._limit:
            self._drop_middle()
        self._file.flush()

    def _drop_middle(self) -> None:
        tail = min(self._limit // 4, self._written - self._head)
        self._file.seek(-tail, os.SEEK_END)
        kept = self._file.read(tail)
        mark = _MARK.format(self._written - self._head - tail, self._limit).encode()
        self._file.seek(self._head)
        self._file.write(mark + kept)
        self._file.truncate()
        self._size = self._head + len(mark) + tail

    def _show(self, data: bytes) -> None:
        with contextlib.suppress(OSError, ValueError):  # whoever read our output has left
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()


def shorten(path: Path, limit: int) -> None:
    """Drop the middle of a file that grew beyond `limit` bytes, as `OutputFile` does while it is written."""
    if path.stat().st_size > limit:
        whole = path.with_name(f".{path.name}")
        path.rename(whole)
        output = OutputFile(path, limit)
        with whole.open("rb") as file:
            while block := file.read(1 << 20):
                output.write(block)
        output.close()
        whole.unlink()
