"""Texts that are lists of numbers for a model, such as ``"1000 500 50"``."""

from __future__ import annotations

import math
import re
from typing import Any

_NUMBER = r"-?(?:0|[1-9][0-9]{0,300})(?:\.[0-9]{1,300})?(?:[eE][-+]?[0-9]{1,3})?"
_NUMBERS = re.compile(rf"\s*{_NUMBER}(?:\s+{_NUMBER})+\s*")


def as_read(value: Any) -> Any:
    """Return what the model gets for a value: the list, for a text that is a list of numbers."""
    numbers = list_in_text(value) if isinstance(value, str) else None
    return value if numbers is None else numbers


def list_in_text(text: str) -> list[int | float] | None:
    """Return the numbers of a text such as ``"1000 500 50"``, or None when it is not such a list.

    A list has two or more numbers, separated by blanks, each in canonical writing (as JSON writes numbers): so
    ``"2020 01 05"`` and ``"3 blind mice"`` stay text.
    """
    if not _NUMBERS.fullmatch(text):
        return None
    numbers = [_read_number(token) for token in text.split()]
    return numbers if all(map(math.isfinite, numbers)) else None


def _read_number(token: str) -> int | float:
    return float(token) if any(c in token for c in ".eE") else int(token)
