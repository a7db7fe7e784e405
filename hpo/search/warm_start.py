"""Trials of an earlier experiment, or of a table of results, as knowledge for a new search."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hpo.errors import HpoError, UserError
from hpo.experiment import Experiment, find
from hpo.results.view import View
from hpo.search.inverse import Inverse
from hpo.space import ParameterSpace
from hpo.told import Kind, Told
from hpo.trial import State


@dataclass(frozen=True, slots=True)
class WarmStart:
    """What an earlier search says in terms of a new one. of: how many completed trials it has in all."""

    source: str
    trials: tuple[Told, ...]
    of: int

    @property
    def sentence(self) -> str:
        """For people."""
        dropped = self.of - len(self.trials)
        fit = f"; {dropped} {'does' if dropped == 1 else 'do'} not fit it" if dropped else ""
        return f"{len(self.trials)} of {self.of} completed trials of {self.source} inform the search{fit}"


@dataclass(frozen=True, slots=True)
class _Result:
    """One completed trial of elsewhere. fixed: what was not searched there."""

    params: Mapping[str, Any]
    values: tuple[float, ...]
    fixed: Mapping[str, Any] = field(default_factory=dict)


def read(
    source: str, beside: Path, space: ParameterSpace, defaults: Mapping[str, Any], plan: Sequence[tuple[str, str]]
) -> WarmStart:
    """Read `warm_start = source`: an experiment, or a CSV (relative to `beside`, as `hpo aggregate-results` writes it).

    defaults: the fixed values of the new search. plan: its objectives, each with its direction. Trials are expressed in
    the domains of `space`; those that it could not have proposed are left out. Raises `UserError` with a sentence.
    """
    path = beside / source
    if path.is_file():
        results = list(_from_table(path, [name for name, _ in plan]))
    else:
        results = list(_from_experiment(_find(source, path), plan))
    inverse = Inverse(space)
    names = set(space.names)
    told: list[Told] = []
    for result in results:
        found = _found(inverse, names, result, defaults)
        if found is not None:
            told.append(Told(-1 - len(told), Kind.COMPLETED, found, result.values))
    return WarmStart(path.name if path.is_file() else source, tuple(told), len(results))


def _find(source: str, path: Path) -> Experiment:
    for text in (source, str(path)):
        try:
            return find(text)
        except HpoError:
            continue
    raise UserError(f"'{source}' is neither an experiment, such as X003, nor a CSV of results")


def _found(inverse: Inverse, names: set[str], result: _Result, defaults: Mapping[str, Any]) -> dict[str, Any] | None:
    """What was searched there and is fixed here must have had the value that it has here."""
    fixed = {name: value for name, value in result.params.items() if name not in names}
    if any(name not in defaults or defaults[name] != value for name, value in fixed.items()):
        return None
    return inverse.found({name: value for name, value in {**result.fixed, **result.params}.items() if name in names})


def _from_experiment(experiment: Experiment, plan: Sequence[tuple[str, str]]) -> Iterator[_Result]:
    theirs = list(zip(experiment.objectives, experiment.directions, strict=True))
    if theirs != list(plan):
        raise UserError(f"{experiment.name} has {_words(theirs)}, but this search is to {_words(plan)}")
    view = View(experiment)
    searched = set(experiment.space.names)
    fixed = {name: value for name, value in experiment.defaults.items() if name not in searched}
    for row in view.rows():
        values = [view.objectives(row)[name] for name in experiment.objectives]
        if row.state is State.COMPLETED and None not in values:
            yield _Result(row.params, tuple(v for v in values if v is not None), fixed)


def _words(plan: Sequence[tuple[str, str]]) -> str:
    return ", ".join(f"{direction} {name}" for name, direction in plan)


def _from_table(path: Path, objectives: Sequence[str]) -> Iterator[_Result]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or []
            wanted = ["result", *objectives[1:]]
            if any(name not in columns for name in wanted):
                raise UserError(f"'{path.name}' is no table of results: it has no column {wanted[0]!r}")
            for row in reader:
                values = [_number(row[name]) for name in wanted]
                if None not in values and (row.get("state") or "completed") == "completed":
                    cells = {name: row[name] for name in columns if name not in (*wanted, "dirname", "id", "state")}
                    params = {name: _cell(cell) for name, cell in cells.items() if cell}
                    yield _Result(params, tuple(v for v in values if v is not None))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"'{path.name}' cannot be read: {error}") from None


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if value - value == 0 else None


def _cell(text: str) -> Any:
    """The opposite of how a table's cells are written: JSON, else text."""
    try:
        return json.loads(text)
    except ValueError:
        return text
