"""`hpo show`: one trial."""

from __future__ import annotations

import argparse

from hpo.cli.arguments import add_json, add_trial, experiment_and_trial, print_json

HELP = "one trial: parameters, state and why, attempts, the last lines of its output"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """[EXP] TRIAL --json"""
    add_trial(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print the trial; 0."""
    from hpo.results.overview import print_trial
    from hpo.results.view import View

    experiment, number = experiment_and_trial(args.words)
    view = View(experiment)
    if args.json:
        print_json(view.trial(number))
    else:
        print_trial(view, number)
    return 0
