"""Trials of an earlier experiment, or of a table of results, as knowledge for a new search."""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

from hpo.errors import HpoError, UserError
from hpo.experiment import Experiment, find
from hpo.results.view import View
from hpo.search.inverse import Inverse, alike
from hpo.space import Categorical, ParameterSpace
from hpo.told import Kind, Told
from hpo.trial import State

#: What separates the cells of a table, the usual one first.
_SEPARATORS = (",", ";", "\t")
#: How a text in UTF-16 begins.
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
#: A number with a decimal comma.
_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class WarmStart:
    """What an earlier search says in terms of a new one. of: how many completed trials it has in all.

    misfits: why trials were left out (a parameter, mostly) -> how many; each counts under all of its reasons. running:
    whether the earlier search goes on.
    fixed: what neither searches -> what it was there and what it is here, as JSON, where the two differ.
    """

    source: str
    trials: tuple[Told, ...]
    of: int
    misfits: Mapping[str, int] = field(default_factory=dict)
    running: bool = False
    fixed: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def warning(self) -> str | None:
        """For people, where trials that inform the search had other fixed values than it has."""
        if not self.fixed or not self.trials:
            return None
        changes = ", ".join(f"{name} ({there} there, {here} here)" for name, (there, here) in self.fixed.items())
        return f"{self.source} had other fixed values, so that its results may not be comparable: {changes}"

    @property
    def sentence(self) -> str:
        """For people."""
        source = f"{self.source}, which still runs," if self.running else self.source
        if not self.of:
            return f"{source} has no completed trials to inform the search"
        dropped = self.of - len(self.trials)
        by = ", ".join(f"{name} ({number})" for name, number in self.misfits.items())
        fit = f"; {dropped} {'does' if dropped == 1 else 'do'} not fit it, by {by}" if dropped else ""
        fit += "" if self.trials else ", so that nothing of them is used"
        return f"{len(self.trials)} of {self.of} completed trials of {source} inform the search{fit}"


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
    running, fixed = False, {}
    misfits: Counter[str] = Counter()
    if path.is_file():
        results = list(_from_table(path, [name for name, _ in plan], _texts(space), misfits))
    else:
        view = View(_find(source, path))
        running = view.counts[State.RUNNING] > 0
        results = list(_from_experiment(view, plan))
        fixed = _fixed_in_both(view.experiment, space, defaults)
    inverse = Inverse(space)
    names = set(space.names)
    told: list[Told] = []
    unread = misfits.total()
    for result in results:
        reasons = _fixed_otherwise(names, result, defaults)
        params = {name: value for name, value in {**result.fixed, **result.params}.items() if name in names}
        found = inverse.found(params)
        if found is None:
            wrong, missing = inverse.misfits(params)
            reasons += [*wrong, *(f"{name}, which they do not have" for name in missing)]
        if found is not None and not reasons:
            told.append(Told(-1 - len(told), Kind.COMPLETED, found, result.values))
        misfits.update(reasons)
    source = path.name if path.is_file() else source
    return WarmStart(source, tuple(told), len(results) + unread, dict(misfits.most_common()), running, fixed)


def _find(source: str, path: Path) -> Experiment:
    for text in (source, str(path)):
        try:
            return find(text)
        except HpoError:
            continue
    if path.suffix and not path.exists():
        raise UserError(f"{path} does not exist")
    raise UserError(f"'{source}' is neither an experiment, such as X003, nor a CSV of results")


def _fixed_otherwise(names: set[str], result: _Result, defaults: Mapping[str, Any]) -> list[str]:
    """Return what was searched there and is not here: is missing, or fixed and had another value than it has here."""
    gone = {name: value for name, value in result.params.items() if name not in names}
    missing = [f"{name}, which this file does not have" for name in gone if name not in defaults]
    return [*missing, *(name for name, value in gone.items() if name in defaults and not _agree(defaults[name], value))]


def _agree(here: Any, there: Any) -> bool:
    """Whether a fixed value is one that came from JSON or a table, which have lists for tuples."""
    return bool(here == there) or alike(json.loads(json.dumps(here)), there)


def _fixed_in_both(
    experiment: Experiment, space: ParameterSpace, defaults: Mapping[str, Any]
) -> dict[str, tuple[str, str]]:
    """Return name -> (there, here) of the defaults that differ and that neither search varies."""
    searched = {*space.names, *experiment.space.names}
    names = [name for name in {**experiment.defaults, **defaults} if name not in searched]
    pairs = {name: (_said(experiment.defaults, name), _said(defaults, name)) for name in names}
    return {name: (there, here) for name, (there, here) in pairs.items() if there != here}


def _said(defaults: Mapping[str, Any], name: str) -> str:
    return json.dumps(defaults[name]) if name in defaults else "not given"


def _from_experiment(view: View, plan: Sequence[tuple[str, str]]) -> Iterator[_Result]:
    experiment = view.experiment
    theirs = list(zip(experiment.objectives, experiment.directions, strict=True))
    if theirs != list(plan):
        raise UserError(f"{experiment.name} has {_words(theirs)}, but this search is to {_words(plan)}")
    searched = set(experiment.space.names)
    fixed = {name: value for name, value in experiment.defaults.items() if name not in searched}
    for row in view.rows():
        values = [view.objectives(row)[name] for name in experiment.objectives]
        if row.state is State.COMPLETED and None not in values:
            yield _Result(row.params, tuple(v for v in values if v is not None), fixed)


def _words(plan: Sequence[tuple[str, str]]) -> str:
    return ", ".join(f"{direction} {name}" for name, direction in plan)


def _from_table(
    path: Path, objectives: Sequence[str], texts: Mapping[str, frozenset[str]], unread: Counter[str]
) -> Iterator[_Result]:
    """unread: counts the completed trials without a finite result, by the cell that is none."""
    wanted = ["result", *objectives[1:]]
    table = _Table.read(path)
    if any(name not in table.columns for name in wanted):
        raise UserError(f"'{path.name}' is no table of results: it has no column {wanted[0]!r}")
    state = "trial_state" if "trial_state" in table.columns else "state"
    parameters = [name for name in table.columns if name and name not in (*wanted, "dirname", "id", state)]
    # By their ids as they were begun: later ones weigh more with TPE, and tables have the best first.
    for row in sorted(table.rows, key=lambda row: row.get("id") or ""):
        values = [table.number(row[name]) for name in wanted]
        ended = row.get(state, "").strip().casefold()
        if ended not in ("", "completed") or not (ended or row["result"].strip()):
            continue
        if None in values:
            broken = wanted[values.index(None)]
            unread[f"{broken} = {row[broken]!r}, which is no finite number"] += 1
        else:
            cells = {name: row[name] for name in parameters if row[name].strip()}
            params = {name: table.value(cell, texts.get(name, frozenset())) for name, cell in cells.items()}
            yield _Result(params, tuple(v for v in values if v is not None))


@dataclass(frozen=True, slots=True)
class _Table:
    """A table as people have it: written by `hpo aggregate-results`, or by a spreadsheet that had read that.

    rows: the text of each cell, by its column. decimal: the sign between the digits of a number.
    """

    columns: Sequence[str]
    rows: Sequence[Mapping[str, str]]
    decimal: str = "."

    @classmethod
    def read(cls, path: Path) -> _Table:
        """Read a file; its cells are separated by whichever sign makes `result` one of its columns."""
        try:
            data = path.read_bytes()
            text = data.decode("utf-16" if data.startswith(_UTF_16) else "utf-8-sig")
            headers = {sign: [name.strip() for name in next(_rows(text, sign), [])] for sign in _SEPARATORS}
            sign = next((sign for sign, columns in headers.items() if "result" in columns), _SEPARATORS[0])
            rows = list(_rows(text, sign))[1:]
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise UserError(f"'{path.name}' cannot be read: {error}") from None
        columns = headers[sign]
        filled = [dict(zip_longest(columns, row[: len(columns)], fillvalue="")) for row in rows]
        return cls(columns, filled, "." if sign == "," else ",")

    def number(self, text: str) -> float | None:
        """Return the finite number in a cell, or None."""
        try:
            value = float(self._with_point(text))
        except ValueError:
            return None
        return value if value - value == 0 else None

    def value(self, text: str, texts: frozenset[str]) -> Any:
        """Return what a cell was written for: JSON, else text. What may be one of `texts` is a text."""
        if text in texts:
            return text
        word = text.strip().casefold()
        if word in ("true", "false"):  # as spreadsheets and pandas write them
            return word if word in texts else word == "true"
        try:
            return json.loads(self._with_point(text))
        except (ValueError, RecursionError):
            return text.strip()

    def _with_point(self, text: str) -> str:
        return text.replace(",", ".") if self.decimal == "," and _COMMA.fullmatch(text.strip()) else text


def _rows(text: str, separator: str) -> Iterator[list[str]]:
    return (row for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator) if row)


def _texts(space: ParameterSpace) -> dict[str, frozenset[str]]:
    """The choices of each parameter that are texts and, in a table, look like numbers or the like."""
    return {
        p.name: frozenset(c for c in p.choices if isinstance(c, str) and c not in map(json.dumps, _others(p.choices)))
        for p in space.parameters
        if isinstance(p, Categorical)
    }


def _others(choices: Sequence[Any]) -> list[Any]:
    return [choice for choice in choices if not isinstance(choice, str)]
