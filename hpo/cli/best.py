"""`hpo best`: the best trial, ready to paste."""

from __future__ import annotations

import argparse

from hpo.cli.arguments import add_experiment, add_json, print_json

HELP = "the best trial as an &default_model section, ready to paste"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """[EXP] --json"""
    add_experiment(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print the best; 0, or 1 when no trial has completed."""
    from hpo.errors import RunError
    from hpo.experiment import find
    from hpo.inputfile.canonical import default_model
    from hpo.results import View

    experiment = find(args.experiment)
    best = View(experiment).best()
    if best is None:
        raise RunError(f"no trial of {experiment.name} has completed yet: 'hpo status {experiment.name}' says more")
    if args.json:
        print_json({"id": best.id, "number": best.number, "value": best.value, "params": dict(best.params)})
        return 0
    print(f"# {best.id} of {experiment.name}: {best.value!r}")
    print(default_model({**experiment.defaults, **best.params}), end="")
    return 0
