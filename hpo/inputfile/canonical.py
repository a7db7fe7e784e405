"""An experiment as a clean input file: every value written out, the space in native form.

What is written reads back to the same experiment from the same folder: keywords as given, with variables and files in
place of sections already replaced, defaults, and the space (rows stay rows).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from hpo.errors import UsageError
from hpo.inputfile.keywords import KEYWORDS
from hpo.inputfile.model import InputFile
from hpo.inputfile.spaces import native
from hpo.space import ParameterSpace, Rows, Space

_KEY = re.compile(r"[^\W\d][\w.\-]*")
#: Keywords whose files' contents stand in the sections themselves.
_REPLACED = ("default_model_file", "param_space_file")


def text(inputfile: InputFile) -> str:
    """Return the input file in canonical form.

    Raises `UsageError` for a default whose name cannot stand in a section (it came from a file of another kind).
    """
    sections = {
        "control": _control(inputfile),
        "default_model": _defaults(inputfile.defaults),
        "param_space": _space(inputfile.space),
    }
    return "\n".join(_section(name, lines) for name, lines in sections.items())


def default_model(values: Mapping[str, Any]) -> str:
    """Return hyperparameters as a &default_model section; raises `UsageError` as `text` does."""
    return _section("default_model", _defaults(values))


def _section(name: str, lines: Iterator[str]) -> str:
    return "\n".join([f"&{name}", *(f"  {line}" for line in lines), "/\n"])


def _control(inputfile: InputFile) -> Iterator[str]:
    for name in KEYWORDS:
        if name in inputfile.given and name not in _REPLACED:
            yield f"{name} = {_control_value(inputfile.control[name], inputfile.shown(name))}"
    samples = inputfile.space.samples if isinstance(inputfile.space, ParameterSpace) else None
    if samples is not None and "n_trials" not in inputfile.given:
        yield f"n_trials = {samples}"


def _control_value(value: Any, shown: str) -> str:
    """Texts stand in single quotes, in which nothing is expanded."""
    if isinstance(value, list):
        separable = all(word and not re.search(r"[\s,'\"\[]", word) for word in value)
        return _quoted(" ".join(value)) if separable else native.write_value(value, inside=True)
    if isinstance(value, str):
        return _quoted(value)
    return repr(value) if isinstance(value, float) else shown


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _defaults(values: Mapping[str, Any]) -> Iterator[str]:
    for name, value in values.items():
        if not _KEY.fullmatch(name):
            raise UsageError(f"the default {name!r} has a name that no section can hold; rename it")
        yield f"{name} = {native.write_value(value, inside=isinstance(value, list | dict))}"


def _space(space: Space) -> Iterator[str]:
    if isinstance(space, Rows):
        yield from space.data.decode().splitlines()
    else:
        yield from map(native.write, space.parameters)
