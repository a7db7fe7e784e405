"""An input file taken for a single run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hpo.errors import Complaints
from hpo.inputfile import InputFile
from hpo.results.view import find_number

_NOT_KNOWN = (
    "--trial is for grids: what the trials of workflow = {} are is known when they run; then "
    "'hpo rerun EXP TRIAL' runs one again. A single value is given as KEY=VALUE, such as default_model.lr=0.01"
)


def alone(given: InputFile, trial: str | None, complaints: Complaints) -> InputFile:
    """Return the same input file as a single run: of its defaults, overlaid by the parameters of a trial.

    trial: an id, or a number from 0; a mistake when there is no such trial, or it is not known before it runs.
    """
    params = {} if trial is None else _point(given, trial, complaints)
    return replace(given, control={**given.control, "run_workflow": False}, defaults={**given.defaults, **params})


def _point(given: InputFile, trial: str, complaints: Complaints) -> Mapping[str, Any]:
    workflow = given.control["workflow"]
    if workflow != "grid":
        complaints.error(_NOT_KNOWN.format(workflow))
        return {}
    size = given.space.size() or 0  # finite, or the reader would have complained
    number = find_number(given.space, size, trial)
    if number is None:
        complaints.error(f"{given.path.name} has no trial {trial!r}; its trials are numbered from 0 to {size - 1}")
        return {}
    return given.space.point(number)
