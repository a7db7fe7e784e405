"""The experiment as it was understood, as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from hpo.checks.checked import Checked
from hpo.errors import Complaint
from hpo.inputfile import InputFile
from hpo.space import Categorical, Constant, Integer, Parameter, Real, Rows, Vector

#: At most so many trials, and distinct values of a name in rows, are listed.
LISTED = 1000

_TIMES = ("walltime", "trial_timeout")  # written as HH:MM:SS
_UNBOUNDED = {"log": False, "step": None}


def of(checked: Checked) -> dict[str, Any]:
    """Return the experiment as JSON types, as docs/commands.md describes it."""
    given = checked.inputfile
    return {
        **nothing(),
        "ok": True,
        "warnings": complaints_json(checked.warnings),
        "notes": complaints_json(checked.notes),
        "workflow": given.control["workflow"],
        "sampler": checked.sampler,
        "n_trials": checked.n_trials,
        "control": {**given.control, **{name: given.shown(name) for name in _TIMES if given.control[name]}},
        "given": dict(given.given),
        "defaults": dict(given.defaults),
        "parameters": parameters_json(given),
        "trials": list(trials_json(checked, LISTED)),
        "script": {
            "path": str(checked.analysis.script.path),
            "runner": checked.analysis.script.runner,
            "form": checked.analysis.script.form,
            "reads": list(dict.fromkeys(read.name for read in checked.analysis.reads.names)),
            "files": list(map(str, checked.analysis.files)),
        },
    }


def nothing() -> dict[str, Any]:
    """Return the document for an input file that could not be read."""
    empty: dict[str, Any] = {"ok": False, "errors": [], "warnings": [], "workflow": None, "sampler": None}
    return {**empty, "n_trials": None, "control": {}, "defaults": {}, "parameters": [], "trials": []}


def complaints_json(complaints: Iterable[Complaint]) -> list[dict[str, Any]]:
    """Return complaints as JSON types."""
    return [{"file": c.file and str(c.file), "line": c.line, "message": c.message} for c in complaints]


def trials_json(checked: Checked, most: int) -> Iterator[dict[str, Any]]:
    """Yield the first trials of a grid: id and hyperparameters."""
    space = checked.inputfile.space
    for number in range(min(checked.listed_trials, most)):
        yield {"id": space.trial_id(number), **space.point(number)}


def parameters_json(given: InputFile) -> list[dict[str, Any]]:
    """Return the parameters of a space: name, kind, and choices or bounds. Of rows, each name that varies."""
    if isinstance(given.space, Rows):
        return _varying(given.space)
    return [row for parameter in given.space.parameters for row in _parameter_json(parameter, parameter.name)]


def _varying(rows: Rows) -> list[dict[str, Any]]:
    """Return each name that has more than one value in the rows, or is missing from some, with its first values."""
    values: dict[str, dict[str, Any]] = {name: {} for name in rows.names}
    seen = dict.fromkeys(rows.names, 0)
    for number in range(rows.size()):
        for name, value in rows.point(number).items():
            seen[name] += 1
            if len(values[name]) < LISTED:
                values[name].setdefault(repr(value), value)
    varies = (name for name in rows.names if len(values[name]) > 1 or seen[name] < rows.size())
    return [
        {"name": name, "kind": "categorical", **_UNBOUNDED, "choices": list(values[name].values())} for name in varies
    ]


def _parameter_json(parameter: Parameter, name: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a parameter: one, or one for each element of a vector."""
    tree = parameter.to_json()
    extra: dict[str, Any] = {key: tree[key] for key in ("condition", "transform", "points", "ordered") if key in tree}
    match parameter:
        case Vector(elements=elements):
            for place, element in enumerate(elements):
                for row in _parameter_json(element, f"{name}[{place}]"):
                    yield {**row, **extra}
        case Integer() | Real():
            bounds = {"low": parameter.low, "high": parameter.high, "log": parameter.log, "step": parameter.step}
            yield {"name": name, "kind": parameter.kind, **bounds, **extra}
        case Categorical() | Constant():
            choices = [parameter.value(number) for number in range(parameter.count or 0)]
            yield {"name": name, "kind": parameter.kind, **_UNBOUNDED, "choices": choices, **extra}
