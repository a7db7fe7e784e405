"""All trials of an experiment as CSV, in the manner of CANDLE's `candle_results.csv`."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TextIO

from hpo.errors import UsageError, writing
from hpo.experiment import find
from hpo.results.view import Row, View
from hpo.trial import State


def aggregate(experiment: str | None, form: str | None, output: str) -> int:
    """Write the table of EXP to `output` (`-`: standard output); return 0.

    form: a printf format for the result, such as `%.4f`; None for full precision.
    """
    if form is None and experiment is not None and "%" in experiment:
        experiment, form = None, experiment
    _try_format(form)
    view = View(find(experiment))
    rows = list(view.rows())
    sign, others = view.experiment.signs[0], view.experiment.objectives[1:]
    if output == "-":
        write(rows, sys.stdout, form, sign, others)
        return 0
    with writing(Path(output)), Path(output).open("w", newline="") as file:
        write(rows, file, form, sign, others)
    print(f"{output}: {len(rows)} trials", file=sys.stderr)
    return 0


def write(
    rows: Iterable[Row], stream: TextIO, form: str | None = None, sign: int = 1, others: Sequence[str] = ()
) -> None:
    """Write the header `result,dirname,id,` + the union of the hyperparameters + `state`, then a line for each row.

    Completed rows come first, the best on top; then pruned ones with their last report, then the others, by number.
    sign: -1 when more is better. others: further objectives, in columns behind the state.
    """
    ordered = sorted(rows, key=lambda r: (_rank(r), _badness(r.value, sign), r.number))
    fixed = ("result", "dirname", "id")
    names = list(dict.fromkeys(name for row in ordered for name in row.params if name not in fixed))
    state = "state" if "state" not in names else "trial_state"
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*fixed, *names, state, *others])
    for row in ordered:
        cells = [_cell(row.params[name]) if name in row.params else "" for name in names]
        further = (_cell(row.metrics.get(name, "")) for name in others)
        writer.writerow([_result(row.value, form), row.id, row.id, *cells, row.state.value, *further])


def _rank(row: Row) -> int:
    """Which part of the table a row belongs to."""
    return 2 if row.value is None else 1 if row.state is State.PRUNED else 0


def _badness(value: float | None, sign: int) -> float:
    """What is sorted by. A pruned trial whose last report was not a number is the worst of them."""
    return math.inf if value is None or math.isnan(value) else sign * value


def _result(value: float | None, form: str | None) -> str:
    if value is None:
        return ""
    return form % value if form else repr(value)


def _cell(value: Any) -> str:
    """Text as it is; everything else as JSON, which reads back to the same value."""
    return value if isinstance(value, str) else json.dumps(value)


def _try_format(form: str | None) -> None:
    if form is not None:
        try:
            form % 1.5
        except (TypeError, ValueError):
            raise UsageError(f"{form!r} is not a printf format for one number, such as %.4f") from None
