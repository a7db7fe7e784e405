"""`restart_from_exp = X003`: CANDLE's way to go on with an experiment, for the same input and the same script."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hpo.disk import hash_of
from hpo.errors import Complaint, InputError
from hpo.experiment import Experiment, find
from hpo.inputfile import InputFile

#: Keywords that may differ: they say how to go on, not what is searched.
_FREE = frozenset({"restart_from_exp", "dry_run", "nworkers", "walltime"})


def experiment_of(inputfile: InputFile, files: Iterable[Path]) -> Experiment:
    """Return the experiment that an input file says it goes on with.

    files: the script and its local modules as they are now. Raises `UsageError` when there is no such experiment, and
    `InputError` that names what differs when input or script are others than its own.
    """
    experiment = find(str(inputfile.control["restart_from_exp"]))
    differing = [*_sections(experiment, inputfile), *_files(experiment, files)]
    if differing:
        message = (
            f"{experiment.name} is another experiment: {', '.join(differing)} differ; "
            f"take out restart_from_exp for a new one, or give 'hpo resume {experiment.name}' to go on with the old"
        )
        raise InputError([Complaint(message, *inputfile.where("restart_from_exp", inputfile.path))])
    return experiment


def _sections(experiment: Experiment, inputfile: InputFile) -> Iterable[str]:
    then, now = _plain(experiment.keywords), _plain(inputfile.control)
    yield from (name for name in now if name not in _FREE and then.get(name) != now[name])
    if _plain(inputfile.defaults) != experiment.defaults:
        yield "&default_model"
    if inputfile.space != experiment.space:
        yield "&param_space"


def _files(experiment: Experiment, files: Iterable[Path]) -> Iterable[str]:
    hashes = experiment.specification["hashes"]
    return (path.name for path in files if hashes.get(str(path)) != hash_of(path))


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """As `experiment.json` has them: lists for tuples, text for paths."""
    plain: dict[str, Any] = json.loads(json.dumps(dict(values), default=str))
    return plain
