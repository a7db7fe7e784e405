"""Explicit points of a space: one JSON object a line, kept as the bytes of its lines."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hpo.space.texts import as_read


def default_id(number: int) -> str:
    """Return the id of trial `number` (from 0) that was given none."""
    return f"hpset_{number + 1:05d}"


class Rows:
    """The points of a grid that were listed one by one.

    data: the rows, one JSON object a line, nothing else. names: the hyperparameters, in the order in which they first
    occur. read_as_lists: texts that the model gets as lists of numbers, ``(name, text)``, some of them.
    """

    def __init__(self, data: bytes, names: Sequence[str], read_as_lists: Iterable[tuple[str, str]] = ()) -> None:
        self.data = data
        self.names = list(names)
        self.read_as_lists = tuple(read_as_lists)
        self._ends = _line_ends(data)

    def size(self) -> int:
        """Return the number of rows."""
        return len(self._ends)

    def point(self, number: int) -> dict[str, Any]:
        """Return the hyperparameters of row `number`, without its id."""
        row = self._row(number)
        row.pop("id", None)
        return {name: as_read(value) for name, value in row.items()}

    def trial_id(self, number: int) -> str:
        """Return the id of row `number`."""
        given = self._row(number).get("id")
        return default_id(number) if given is None else str(given)

    def to_json(self) -> dict[str, Any]:
        """Return all but `data`, which is to be kept beside it."""
        return {
            "kind": "rows",
            "count": self.size(),
            "names": self.names,
            "read_as_lists": [list(pair) for pair in self.read_as_lists],
        }

    @classmethod
    def from_json(cls, tree: Mapping[str, Any], data: bytes) -> Rows:
        """Return what `to_json` wrote; raises ValueError when `data` has another number of rows."""
        rows = cls(data, tree["names"], [(name, text) for name, text in tree["read_as_lists"]])
        if rows.size() != tree["count"]:
            raise ValueError(f"there are {rows.size()} rows where {tree['count']} were written")
        return rows

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rows) and (self.data, self.names) == (other.data, other.names)

    def __hash__(self) -> int:
        return hash(self.data)

    def __repr__(self) -> str:
        return f"Rows({self.size()} rows of {self.names})"

    def _row(self, number: int) -> dict[str, Any]:
        if not 0 <= number < self.size():
            raise IndexError(f"there is no row {number}; there are {self.size()}")
        begin = self._ends[number - 1] if number else 0
        row: dict[str, Any] = json.loads(self.data[begin : self._ends[number]])
        return row


def _line_ends(data: bytes) -> array[int]:
    """Return the offset of the end of each line."""
    ends = array("Q")
    end = data.find(b"\n")
    while end >= 0:
        ends.append(end)
        end = data.find(b"\n", end + 1)
    if data and not data.endswith(b"\n"):
        ends.append(len(data))
    return ends
