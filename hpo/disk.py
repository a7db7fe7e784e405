"""Files that others may look at, or that a power cut may meet: they appear whole, or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from pathlib import Path


def write_new(path: Path, data: bytes) -> None:
    """Write a new file, on the disk when the call returns; `FileExistsError` when it exists."""
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of it: a disk that is about to be full takes a part, and says so the next time. Raises `OSError`."""
    while data:
        data = data[os.write(descriptor, data) :]


def linked(source: Path, target: Path) -> bool:
    """Give a complete file a second name, unless that is taken: nobody ever sees half of it."""
    try:
        os.link(source, target)
    except FileExistsError:
        return False
    return True


def replace_link(link: Path, target: str) -> None:
    """Make `link` a symbolic link to `target`, replacing one that is there in a single step."""
    beside = link.parent / f".{link.name}.{secrets.token_hex(4)}"
    os.symlink(target, beside)
    try:
        os.replace(beside, link)
    except OSError:
        beside.unlink()
        raise


def time_in(folder: Path) -> float:
    """The time that the file server gives to what is written into `folder` now (Unix). Raises `OSError`."""
    return _probe(folder).st_mtime


def is_mine(folder: Path) -> bool:
    """Whether `folder` belongs to this user, by whatever name the file server knows him. Raises `OSError`."""
    owner = folder.stat().st_uid
    return owner == os.getuid() or owner == _probe(folder).st_uid


def _probe(folder: Path) -> os.stat_result:
    """What the file server says of a file that is written into `folder` now."""
    probe = folder / f".{secrets.token_hex(6)}"
    probe.touch()
    try:
        return probe.stat()
    finally:
        probe.unlink()


def sync_folder(folder: Path) -> None:
    """Put a folder's entries on the disk, where the file system can."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):  # some network file systems refuse to sync a folder, and do it by themselves
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def hash_of(path: str | Path) -> str:
    """The SHA-256 of a file's bytes; empty when it cannot be read (any more)."""
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:
        return ""
