"""The journal in the experiment's folder: a file of JSON lines for each worker, and a symbolic link for each claim.

Nothing is locked. A claim is one `symlink`, which is atomic on every file system that clusters use, NFS included.
A journal has one writer; a writer never appends behind a torn line, but opens a new file instead.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hpo.disk import sync_folder, write_all
from hpo.errors import cannot_write
from hpo.journal.base import Event

_SUFFIX = ".jsonl"


class FolderJournal:
    """The claims and journals below an experiment's folder.

    claims_folder, journal_folder: existing folders. worker: this worker's id (without dots), or "" for a reader only.
    """

    def __init__(self, claims_folder: Path, journal_folder: Path, worker: str = "") -> None:
        self._claims = claims_folder
        self._folder = journal_folder
        self.worker = worker
        self._descriptor: int | None = None
        self._opened = 0
        self._offsets: dict[str, int] = {}

    def claim(self, key: str, tag: str = "") -> str:
        """Create `key` in this worker's name, or return who has it (`journal.base.Journal.claim`)."""
        owner = self.worker + tag
        path = f"{self._claims}/{key}"
        try:
            os.symlink(owner, path)
        except FileExistsError:
            return _owner(path)  # also when the reply to our own create was lost, and it names us
        except OSError as error:
            raise cannot_write(self._claims, error) from error
        return owner

    def first_unclaimed(self, start: int) -> int:
        """The lowest number from `start` on whose first attempt nobody claimed, if numbers are claimed in order.

        Looked for in growing steps, then by halving: workers that each tried every number would stand in each other's
        way (a create, also one that fails, takes the folder's lock; a look does not).
        """
        if not self._is_begun(start):
            return start
        claimed, step = start, 1
        while self._is_begun(claimed + step):
            claimed, step = claimed + step, step * 2
        free = claimed + step
        while free - claimed > 1:
            middle = (claimed + free) // 2
            claimed, free = (middle, free) if self._is_begun(middle) else (claimed, middle)
        return free

    def _is_begun(self, number: int) -> bool:
        return self.is_claimed(f"{number}.1")

    def restore(self, key: str, owner: str) -> None:
        """Make a claim again that was lost, in the name of its owner."""
        with contextlib.suppress(FileExistsError):
            os.symlink(owner, f"{self._claims}/{key}")

    def is_claimed(self, key: str) -> bool:
        """Whether somebody has `key`."""
        return os.path.lexists(f"{self._claims}/{key}")

    def claims(self, only: Container[int] | None = None) -> dict[str, str]:
        """Every claim (of the trials `only`), key -> owner; an owner that cannot be read is the empty string."""
        keys = self.claimed()
        if only is not None:
            keys = [key for key in keys if (number := key.partition(".")[0]).isdigit() and int(number) in only]
        return {key: _owner(f"{self._claims}/{key}") for key in keys}

    def claimed(self) -> list[str]:
        """The keys of all claims, without their owners: one listing, no look at each."""
        return os.listdir(self._claims)

    def append(self, events: Iterable[Event], durable: bool = True) -> None:
        """Append `events` to this worker's own file in one write (`journal.base.Journal.append`)."""
        lines = b"".join(json.dumps(event, separators=(",", ":")).encode() + b"\n" for event in events)
        try:
            descriptor = self._descriptor if self._descriptor is not None else self._open()
            write_all(descriptor, lines)
            if durable:
                os.fdatasync(descriptor)
        except OSError as error:
            self.close()  # what lies at the end may be half a line: the next event goes into a new file
            raise cannot_write(self._folder, error) from error

    def close(self) -> None:
        """Close the file; a later `append` opens a new one."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        self._opened += 1
        name = self.worker if self._opened == 1 else f"{self.worker}.{self._opened}"
        path = self._folder / (name + _SUFFIX)
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o666)
        sync_folder(self._folder)
        return self._descriptor

    def read_new(self) -> list[Event]:
        """Return the complete lines that were appended since the last call."""
        events: list[Event] = []
        for name in sorted(os.listdir(self._folder)):
            if name.endswith(_SUFFIX):
                events.extend(self._read_file(name))
        return events

    def read_so_far(self) -> Mapping[str, int]:
        """How far each journal was read: file name -> bytes."""
        return self._offsets

    def _read_file(self, name: str) -> Iterator[Event]:
        offset = self._offsets.get(name, 0)
        try:
            with open(self._folder / name, "rb", buffering=0) as file:  # reopened each time: NFS revalidates on open
                file.seek(offset)
                data = file.read() or b""
        except FileNotFoundError:
            return
        end = data.rfind(b"\n") + 1
        self._offsets[name] = offset + end
        worker = name.split(".", 1)[0]
        for event in _parse_lines(data[:end]):
            event["w"] = worker
            yield event


def _owner(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _parse_lines(data: bytes) -> Sequence[Event]:
    """The events, without the lines that are none.

    Sound lines are parsed in one go, as one JSON array, which takes a third of the time; others one by one.
    """
    lines = data.split(b"\n")[:-1]
    events = _load(b"[" + b",".join(lines) + b"]")
    if isinstance(events, list) and len(events) == len(lines) and all(map(_is_event, events)):
        return events
    return [event for line in lines if _is_event(event := _load(line))]


def _load(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _is_event(event: Any) -> bool:
    return isinstance(event, dict) and isinstance(event.get("e"), str)
