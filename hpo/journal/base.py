"""What every journal can do: three methods, whatever holds the records.

An event is a JSON object. Its fixed keys: ``e`` what happened, ``t`` Unix time (for display only; clocks of two hosts
are never compared), and for trials ``n`` the number and ``k`` the attempt. Readers add ``w``, the worker that wrote it.

====================  =====================================================================================
``started``           params, system_attrs, seen
``reported``          step, value
``checkpointed``      step
``paused``            released by its worker: the next attempt may be claimed, and does not count as a death
``finished``          value and metrics, or failure, or pruned
``note``              text: something the user should know about this attempt
``ended``             the worker took its last trial; reason
====================  =====================================================================================
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Any, Protocol

Event = dict[str, Any]


class Journal(Protocol):
    """The shared record of an experiment, as one worker (or a reader without a worker) sees it."""

    def claim(self, key: str, tag: str = "") -> str:
        """Create `key` in the name of this worker, atomically; return the name of whoever has it now.

        The owner's name is the worker's id followed by `tag`. An empty answer means that the owner cannot be read,
        which counts as somebody alive.
        """
        ...

    def append(self, events: Iterable[Event], durable: bool = True) -> None:
        """Append to this worker's own record; with `durable` it is on the disk when the call returns.

        Raises `StorageError` when it could not be written; what was written before stays.
        """
        ...

    def read_new(self) -> list[Event]:
        """Return what all workers appended since the last call, each worker's events in their order."""
        ...

    def read_so_far(self) -> Mapping[str, int]:
        """Return how far `read_new` has come in each part of the record: name -> offset."""
        ...

    def first_unclaimed(self, start: int) -> int:
        """The lowest number from `start` on whose first attempt nobody claimed, if numbers are claimed in order."""
        ...

    def is_claimed(self, key: str) -> bool:
        """Whether somebody has `key`."""
        ...

    def claims(self, only: Container[int] | None = None) -> Mapping[str, str]:
        """Return every claim there is, or those of the trials `only`: key -> owner."""
        ...
