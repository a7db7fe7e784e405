"""`hpo list`: all experiments."""

from __future__ import annotations

import argparse

from hpo.cli.arguments import add_json, print_json

HELP = "all experiments, newest last"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--json"""
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print a line for each; 0."""
    from hpo.experiment import find, names
    from hpo.overview import print_list
    from hpo.results import View

    experiments = [find(name) for name in names()]
    summaries = [View(experiment).summary(with_workers=False) for experiment in experiments]
    if args.json:
        print_json(summaries)
    else:
        print_list(summaries, [experiment.specification["created"] for experiment in experiments])
    return 0
