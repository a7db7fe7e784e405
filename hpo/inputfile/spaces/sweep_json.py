"""CANDLE's sweeps: ``{"parameters": {name: [value, …]}}``, whose product is taken, and the random form.

With ``"samples": {"num": N}`` each list is a pair of bounds, ``[low, high]``, between which N random points are drawn.
"""

from __future__ import annotations

import json
from typing import Any

from hpo.inputfile.spaces.base import Builder, Mistake, Source
from hpo.inputfile.spaces.json_text import document, line_of, without_comments
from hpo.space import Categorical, Constant, Integer, Parameter, ParameterSpace, Real
from hpo.space.parameters import is_number


def matches(source: Source) -> bool:
    """Return whether the text is one JSON object with the key "parameters", over as many lines as it likes."""
    if not source.first_content.startswith("{"):
        return False
    start = without_comments(source.body[:10_000].decode("utf-8", "replace")).lstrip()
    key, _, rest = start.removeprefix("{").lstrip().partition(":")
    return (key.strip() == '"parameters"' or key.strip() == '"samples"') and rest.lstrip().startswith("{")


def read(source: Source) -> ParameterSpace | None:
    """Return the space; mistakes are reported with their lines."""
    builder = Builder(source)
    text = without_comments(source.text)
    try:
        sweep = document(text)
        samples = _samples(sweep)
        if not isinstance(sweep.get("parameters"), dict):
            raise Mistake('a sweep has "parameters", an object {"name": [value, …], …}')
    except Mistake as mistake:
        builder.fail(str(mistake), mistake.line)
        return None
    begin = text.index('"parameters"')
    for name, values in sweep["parameters"].items():
        line = line_of(text, max(text.find(json.dumps(name, ensure_ascii=False), begin), begin))
        builder.add(line, lambda n=name, v=values, at=line: _parameter(n, v, samples, at, builder))  # type: ignore[misc]
    return builder.space(samples)


def _samples(sweep: Any) -> int | None:
    """Return the number of random points; it stands alone or in a list of one."""
    given = sweep.get("samples")
    if given is None:
        return None
    number = given.get("num") if isinstance(given, dict) else given
    if isinstance(number, list) and len(number) == 1:
        number = number[0]
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise Mistake('"samples" is {"num": N} with the number of random points, 1 or more')
    return number


def _parameter(name: str, values: Any, samples: int | None, line: int, builder: Builder) -> Parameter:
    if not isinstance(values, list):
        return Constant(name, values)
    if samples is not None and all(map(is_number, values)) and values:
        return _range(name, values)
    return Categorical(name, builder.distinct(name, values, line))


def _range(name: str, bounds: list[Any]) -> Parameter:
    if len(bounds) != 2:
        raise Mistake(f"{name!r}: a random sweep has two bounds, [low, high], not {len(bounds)} values")
    low, high = bounds
    if low == high:
        return Constant(name, low)
    whole = isinstance(low, int) and isinstance(high, int)
    return Integer(name, low, high) if whole else Real(name, low, high)
