"""What can go wrong, by whose fault it is.

::

    HpoError
    ├── UserError             exit 2: nothing was started
    │   ├── InputError        the input file: one or many complaints, each `file:line: sentence`
    │   └── UsageError        the command line, or an experiment or a trial that is not there
    ├── RunError              exit 1: it started and could not go on
    │   ├── StorageError      a full disk, a folder that cannot be written
    │   └── SchedulerError    sbatch and its family refused, or did not answer
    └── InternalError         exit 70: a fault of ours

Callers choose a level; `exit_code` is what `hpo` ends with.
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path


class HpoError(Exception):
    """The root of everything that hpo raises on purpose; its text is a sentence for the user."""

    exit_code = 1


class UserError(HpoError):
    """Something the user wrote is wrong; nothing was started."""

    exit_code = 2


class UsageError(UserError):
    """The command line is wrong, or names an experiment or a trial that does not exist."""


class RunError(HpoError):
    """It started and could not go on."""

    exit_code = 1


class StorageError(RunError):
    """A full disk, or a folder that cannot be written."""


def cannot_write(place: object, error: OSError) -> StorageError:
    """The sentence for a file or a folder that cannot be written, or made, or replaced."""
    return StorageError(f"cannot write to {place}: {error.strerror or error}")


@contextlib.contextmanager
def writing(place: Path) -> Iterator[None]:
    """Turn an `OSError` inside into a `StorageError` that names `place`."""
    try:
        yield
    except OSError as error:
        raise cannot_write(place, error) from error


class SchedulerError(RunError):
    """The cluster's scheduler refused, or did not answer."""


class InternalError(HpoError):
    """A fault of ours; the message asks for a report."""

    exit_code = 70


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing that is wrong, or worth a warning, and where it stands.

    `file` is None for what was given on the command line, `line` counts from 1 and is None when the
    complaint is about the file as a whole.
    """

    message: str
    file: Path | None = None
    line: int | None = None

    def __str__(self) -> str:
        if self.file is None:
            return self.message
        where = f"{self.file}:{self.line}" if self.line else f"{self.file}"
        return f"{where}: {self.message}"


class InputError(UserError):
    """All mistakes of an input file, in the order of their lines; `str()` is a line for each."""

    def __init__(self, complaints: Sequence[Complaint]) -> None:
        self.complaints = tuple(complaints)
        super().__init__("\n".join(str(c) for c in self.complaints))


@dataclass(slots=True)
class Complaints:
    """Collects errors and warnings while an input is read, so that all are reported at once."""

    errors: list[Complaint] = field(default_factory=list)
    warnings: list[Complaint] = field(default_factory=list)
    _known: set[tuple[str, Complaint]] = field(default_factory=set, init=False, repr=False, compare=False)

    def error(self, message: str, file: Path | None = None, line: int | None = None) -> None:
        """Record a mistake, once; reading goes on."""
        self._add("error", self.errors, Complaint(message, file, line))

    def warn(self, message: str, file: Path | None = None, line: int | None = None) -> None:
        """Record something worth saying that stops nothing, once."""
        self._add("warning", self.warnings, Complaint(message, file, line))

    def raise_errors(self) -> None:
        """Raise `InputError` with every error so far, do nothing without one.

        Files stand in the order in which they were first complained of, the complaints of each by their lines.
        """
        if self.errors:
            files = list(dict.fromkeys(c.file for c in self.errors))
            raise InputError(sorted(self.errors, key=lambda c: (files.index(c.file), c.line or 0)))

    def _add(self, kind: str, where: list[Complaint], complaint: Complaint) -> None:
        if (kind, complaint) not in self._known:
            self._known.add((kind, complaint))
            where.append(complaint)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'worker_type'?"`` for the nearest known name, or an empty string.

    Used for every misspelling of the house, so that all sound alike.
    """
    near = nearest(name, known)
    return f" Did you mean {near!r}?" if near is not None else ""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that `name` resembles, whatever its letter case; None when it resembles none."""
    folded = {k.casefold(): k for k in known}
    near = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    begun = [k for k in folded if len(name) > 2 and k.startswith(name.casefold())]  # min for minimize
    return folded[near[0]] if near else folded[begun[0]] if len(begun) == 1 else None
