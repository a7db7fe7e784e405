"""Parameter spaces, in every form in which people write them: text -> `hpo.space.Space`.

A form is a file of this folder and a row of `FORMS`; the first that recognises a text reads it.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from hpo.errors import Complaints
from hpo.inputfile.spaces import ga_json, json_rows, native, paramhelpers, sweep_json
from hpo.inputfile.spaces.base import Form, Source
from hpo.space import ParameterSpace, Rows, Space, SpaceError

#: In the order in which they are tried.
FORMS = (
    Form("sweep JSON", sweep_json.matches, sweep_json.read, native.as_points),
    Form("JSON rows (UPF)", json_rows.matches, json_rows.read, native.as_points),
    Form("genetic algorithm JSON", ga_json.matches, ga_json.read, ga_json.as_points),
    Form("R ParamHelpers", paramhelpers.matches, paramhelpers.read, paramhelpers.as_points),
    Form("native", native.matches, native.read, native.as_points),
)


def read_space(
    body: bytes, file: Path, first_line: int, workflow: str, complaints: Complaints, fixed: Collection[str] = ()
) -> Space | None:
    """Return the parameter space in `body`, whose first byte stands in line `first_line` of `file`.

    The form is recognised from the text, or from the suffix `.R`. workflow: "grid" needs a space with an end, the
    others need ranges or choices. fixed: the names of &default_model, which conditions cannot read. Every mistake
    goes to `complaints`; None is returned only when there was one.
    """
    source = Source(body, file, first_line, complaints, fixed)
    form = next((form for form in FORMS if form.matches(source)), None)
    if form is None:
        source.error(_unrecognised(source))
        return None
    space = form.read(source)
    if space is None or not _suits(space, workflow, form, source):
        return None
    return space


def _unrecognised(source: Source) -> str:
    if not source.first_content:
        return "the parameter space is empty"
    forms = ", ".join(form.name for form in FORMS)
    return f"{source.first_content[:60]!r} begins no parameter space that is known: {forms}"


def _suits(space: Space, workflow: str, form: Form, source: Source) -> bool:
    """Return whether the workflow can run on the space; otherwise report why not."""
    if isinstance(space, Rows):
        if workflow != "grid":
            source.error(
                f"workflow = {workflow} searches ranges, such as lr = real(1e-5, 1e-1, log), but these are single "
                "points; workflow = grid runs them"
            )
        return workflow == "grid"
    faults = space.condition_faults()
    for name, fault in faults.items():
        source.error(f"{name!r}, condition: {fault}", source.lines[name])
    if faults or (workflow == "grid" and not _is_grid(space, form, source)):
        return False
    for name in space.never():
        message = f"the parameter {name!r} is in no trial, since its condition never holds"
        source.warn(message, source.lines[name])
    return True


def _is_grid(space: ParameterSpace, form: Form, source: Source) -> bool:
    if space.samples is not None:
        source.error(
            f"this is a random sweep of {space.samples} points, which workflow = grid is not; take out 'samples', "
            "then each list is the values of a grid"
        )
        return False
    endless = [parameter for parameter in space.parameters if parameter.count is None]
    for parameter in endless:
        message = f"{parameter.name!r} has no end of values, and workflow = grid runs them all; give it points: "
        source.error(message + form.points(parameter), source.lines[parameter.name])
    return not endless and _is_countable(space, source)


def _is_countable(space: ParameterSpace, source: Source) -> bool:
    try:
        space.size()
    except SpaceError as error:
        source.error(str(error))
        return False
    return True
