"""Save and restore the state of a script so that it can be killed at any byte.

A checkpoint is written beside, fsynced and renamed; it ends with its own length and checksum, so that a damaged one is
passed over before anything of it is read. HPO_CHECKPOINT_DIR names the folder of this attempt (./checkpoints outside an
experiment), HPO_RESTORE_FROM those of earlier attempts, newest first.

The states of the random number generators (`random`, NumPy, torch) travel along: a restored run continues as if it had
never stopped, to the last bit on the same CPU.

Checkpoints hold pickles. They are read from the trial's own folders; load no file that you would not run as a program.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import re
import struct
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from hpo.training import seeds
from hpo.training.reports import stop_requested

_NAME = re.compile(r"checkpoint_(\d+)\.pt")
_TRAILER = struct.Struct("<4sQI")  # magic, bytes before it, their CRC-32; torch.load and pickle.load do not mind it
_MAGIC = b"hpoC"
_ZIP = b"PK"  # how a file of torch.save begins

_own: Path | None = None  # the folder of the trial that this process works on
_written: list[Path] = []  # there, oldest first
_last_save = time.monotonic()


def save(state: Any, step: int, *, every: float = 0, keep: int = 2) -> Path | None:
    """Save `state` as ``checkpoint_<step>.pt``; return the file, or None when there was no need to.

    state: anything that pickles; with torch imported anything that `torch.save` takes. step: names the file.
    every: seconds that must have passed since the last save, or since the script began; when the trial is asked to
    pause it is saved whatever the time, and when it is pruned never. keep: how many of those that this attempt has
    saved stay, those from before it was restored among them. OSError when the folder cannot be written; the checkpoints
    before it are still whole.
    """
    global _last_save
    path = (folder() / f"checkpoint_{step}.pt").absolute()
    _forget_other_trials(path.parent)
    reason = stop_requested()
    if reason == "prune" or (reason is None and time.monotonic() - _last_save < every):
        return None
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path, {"state": state, "generators": seeds.get_state()})
    _last_save = time.monotonic()
    _forget_all_but(keep, path)
    return path


def restore(default: Any = None) -> Any:
    """Return the newest whole state that this attempt or an earlier one saved, or `default`.

    The random number generators are put back too: restore last, after the model is built. Tensors come to the CPU.
    Outside an experiment only what HPO_RESTORE_FROM names is looked at, so that a second run by hand begins anew.
    """
    for path in _newest_first():
        try:
            content = _read(path)
        except (OSError, ValueError):
            continue  # torn or unreadable; an older one is as good as it gets
        seeds.set_state(content["generators"])
        _adopt(path)
        return content["state"]
    return default


def load(path: str | os.PathLike[str]) -> Any:
    """Return the state in one checkpoint file; the generators stay as they are.

    FileNotFoundError, or ValueError in a sentence when the file is damaged or no checkpoint.
    """
    return _read(Path(path))["state"]


def folder() -> Path:
    """Where `save` writes."""
    return Path(os.environ.get("HPO_CHECKPOINT_DIR") or "checkpoints")


def _newest_first() -> Iterator[Path]:
    own = os.environ.get("HPO_CHECKPOINT_DIR")
    earlier = os.environ.get("HPO_RESTORE_FROM", "").split(os.pathsep)
    for name in filter(None, (own, *earlier)):
        yield from sorted(_checkpoints(Path(name)), key=_age_and_step, reverse=True)


def _checkpoints(where: Path) -> list[Path]:
    try:
        return [p for p in where.iterdir() if _NAME.fullmatch(p.name)]
    except OSError:  # no such folder: nothing was saved
        return []


def _age_and_step(path: Path) -> tuple[int, int]:
    """Time first: in a folder used by hand a new, short run comes after a long one before it."""
    try:
        return path.stat().st_mtime_ns, _step(path)
    except OSError:
        return 0, _step(path)


def _step(path: Path) -> int:
    match = _NAME.fullmatch(path.name)
    assert match is not None
    return int(match[1])


def _forget_other_trials(own: Path) -> None:
    """With ``isolation = none`` a process runs one trial after the other: what the ones before left is theirs."""
    global _own, _last_save
    if _own is not None and _own != own:
        _written.clear()
        _last_save = time.monotonic()
    _own = own


def _adopt(restored: Path) -> None:
    """Let `keep` count what this attempt had saved, up to what was restored, before it was stopped.

    Not in ./checkpoints, where one run by hand follows the other, nor in the folders of earlier attempts.
    """
    own = folder()
    if restored.parent == own and os.environ.get("HPO_CHECKPOINT_DIR"):
        _forget_other_trials(own.absolute())
        earlier = [path.absolute() for path in _checkpoints(own) if _step(path) <= _step(restored)]
        _written[:] = sorted(earlier, key=_step)


def _forget_all_but(keep: int, newest: Path) -> None:
    if newest in _written:
        _written.remove(newest)
    _written.append(newest)
    while len(_written) > max(keep, 1):
        with contextlib.suppress(OSError):
            _written.pop(0).unlink()


class _Summed:
    """A file to write to that knows the length and checksum of what went through it, and the first error."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.length, self.crc = file, 0, 0
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        self.crc = zlib.crc32(view, self.crc)
        self.length += len(view)
        try:
            return self._file.write(view)
        except OSError as error:
            self.error = self.error or error
            raise

    def flush(self) -> None:
        self._file.flush()

    def trailer(self) -> bytes:
        return _TRAILER.pack(_MAGIC, self.length, self.crc)


def _write(path: Path, content: dict[str, Any]) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("wb") as file:
            _dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    _fsync_folder(path.parent)


def _dump(content: dict[str, Any], file: BinaryIO) -> None:
    summed = _Summed(file)
    torch = sys.modules.get("torch")
    if torch is not None:
        try:
            torch.save(content, summed)
        except RuntimeError as error:  # what torch makes of a full disk
            if summed.error is None:
                raise
            raise summed.error from error
    else:
        pickle.dump(content, summed, protocol=pickle.HIGHEST_PROTOCOL)
    file.write(summed.trailer())


def _fsync_folder(path: Path) -> None:
    """Make the new name durable; where a folder cannot be opened (Windows) the rename must do."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _read(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        _verify(path, file)
        is_zip = file.read(len(_ZIP)) == _ZIP
        file.seek(0)
        if not is_zip:
            return _contents(path, pickle.load(file))  # noqa: S301
    import torch

    return _contents(path, torch.load(path, map_location="cpu", weights_only=False))


def _verify(path: Path, file: BinaryIO) -> None:
    """ValueError unless the file ends with the length and checksum of all before; leaves the file at its beginning."""
    size = file.seek(0, os.SEEK_END) - _TRAILER.size
    file.seek(max(size, 0))
    trailer = file.read()
    file.seek(0)
    if len(trailer) != _TRAILER.size or _TRAILER.unpack(trailer) != (_MAGIC, size, _checksum(file, size)):
        raise ValueError(f"{path} is damaged, or no checkpoint")
    file.seek(0)


def _checksum(file: BinaryIO, length: int) -> int:
    crc = 0
    while length > 0 and (block := file.read(min(length, 1 << 20))):
        crc = zlib.crc32(block, crc)
        length -= len(block)
    return crc


def _contents(path: Path, content: Any) -> dict[str, Any]:
    if not (isinstance(content, dict) and content.keys() >= {"state", "generators"}):
        raise ValueError(f"{path} is damaged, or no checkpoint")
    return content
