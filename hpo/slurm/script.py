"""The batch script of an experiment, from workflows/slurm/array.sbatch.j2."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import hpo
from hpo import shipped
from hpo.slurm import request
from hpo.slurm.request import Array


def render(control: Mapping[str, Any], folder: Path, array: Array, kill_wait: int) -> str:
    """Return the script that starts `array` of the experiment in `folder`; every word of it is quoted."""
    import jinja2

    template = (shipped.folder("workflows") / "slurm" / "array.sbatch.j2").read_text()
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  a shell script, not HTML
    )
    return environment.from_string(template).render(
        name=folder.name,
        version=hpo.__version__,
        file=shlex.quote(str(folder / "submit.sbatch")),
        options=[_quoted(option) for option in _options(control, folder, array)],
        seconds=request.walltime(control),
        kill_wait=kill_wait,
        warning=request.WARNING,
        python=shlex.quote(sys.executable),
        folder=shlex.quote(str(folder)),
    )


def _options(control: Mapping[str, Any], folder: Path, array: Array) -> Iterator[str]:
    yield f"--job-name={folder.name}"
    yield f"--array={array.option}"
    yield f"--output={str(folder).replace('%', '%%')}/logs/%A_%a.out"
    yield f"--chdir={folder}"
    yield f"--signal=B:USR1@{request.WARNING}"
    yield "--requeue"
    yield "--open-mode=append"
    if control["mail"]:
        yield f"--mail-user={control['mail']}"
        yield "--mail-type=END,FAIL"
    yield from request.resources(control)


def _quoted(option: str) -> str:
    """An option as sbatch reads it in a line of a script: quotes as in a shell, and no line ends."""
    return shlex.quote(" ".join(option.splitlines()))
