"""`hpo resume X003 n_trials=200`: other limits for a search that exists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hpo.errors import UsageError, did_you_mean
from hpo.experiment import Experiment
from hpo.inputfile.keywords import KEYWORDS
from hpo.inputfile.values import BadValue
from hpo.results.view import View

_NAMES = ("n_trials", "max_hours")


def read_limits(experiment: Experiment, words: Sequence[str]) -> dict[str, Any]:
    """Return what KEY=VALUE words say. Raises `UsageError` when it is none of the limits, or cannot be."""
    limits = dict(_read(word) for word in words)
    if "n_trials" in limits:
        _check(experiment, limits["n_trials"])
    return limits


def _read(word: str) -> tuple[str, Any]:
    name, _, text = word.partition("=")
    name = name.strip().removeprefix("control.")
    if name not in _NAMES:
        raise UsageError(f"resume takes {' and '.join(_NAMES)}, not {name!r}.{did_you_mean(name, _NAMES)}")
    try:
        return name, KEYWORDS[name].type.read(text.strip() or "''")
    except BadValue as error:
        raise UsageError(f"{name} {error}") from None


def _check(experiment: Experiment, n_trials: int) -> None:
    begun = len(View(experiment).ledger.trials)
    if n_trials < begun:
        raise UsageError(f"n_trials={n_trials} is too few: {experiment.name} has begun {begun} trials")
    most = experiment.space.size() if experiment.specification["sampler"]["name"] == "grid" else None
    if most is not None and n_trials > most:
        raise UsageError(f"n_trials={n_trials} is too many: the grid of {experiment.name} has {most} points")
