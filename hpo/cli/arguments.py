"""Arguments that several verbs share."""

from __future__ import annotations

import argparse
import json
from typing import Any

from hpo.errors import UsageError, did_you_mean
from hpo.experiment import Experiment, find
from hpo.results.view import find_trial


def add_input(parser: argparse.ArgumentParser) -> None:
    """FILE.in [KEY=VALUE ...]"""
    parser.add_argument("file", metavar="FILE.in", help="the input file")
    parser.add_argument("overrides", metavar="KEY=VALUE", nargs="*", help="override the file, e.g. control.nworkers=4")


def add_experiment(parser: argparse.ArgumentParser) -> None:
    """[EXP]"""
    parser.add_argument("experiment", metavar="EXP", nargs="?", help="X007, a folder, or nothing for the last")


def add_trial(parser: argparse.ArgumentParser) -> None:
    """[EXP] TRIAL"""
    parser.usage = "%(prog)s [options] [EXP] TRIAL"  # argparse would print that many can be given
    parser.add_argument("words", metavar="[EXP] TRIAL", nargs="+", help="a trial's id, or its number from 0")


def add_json(parser: argparse.ArgumentParser) -> None:
    """--json"""
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def experiment_and_trial(words: list[str]) -> tuple[Experiment, int]:
    """Read `[EXP] TRIAL`. Raises `UsageError` when there is no such experiment or trial."""
    if len(words) > 2:
        raise UsageError(f"expected [EXP] TRIAL, but there are {len(words)} words: {' '.join(words)}")
    experiment = find(words[0] if len(words) == 2 else None)
    number = find_trial(experiment, words[-1])
    if number is None:
        space = experiment.space
        near = did_you_mean(words[-1], (space.trial_id(n) for n in range(min(experiment.budget, 1000))))
        raise UsageError(
            f"{experiment.name} has no trial {words[-1]!r}; its numbers go from 0 to {experiment.budget - 1}, "
            f"from {space.trial_id(0)} to {space.trial_id(experiment.budget - 1)}.{near}"
        )
    return experiment, number


def print_json(document: Any) -> None:
    """Print one JSON document; what JSON has not (NaN) is null."""
    print(json.dumps(_plain(document), indent=1, allow_nan=False))


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
