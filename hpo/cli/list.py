"""`hpo list`: all experiments."""

from __future__ import annotations

import argparse
import sys

from hpo.cli.arguments import add_json, print_json

HELP = "all experiments, newest last"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--json"""
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print a line for each; 0. One that cannot be read is named, and hides no other."""
    from hpo.errors import UsageError
    from hpo.experiment import find, names
    from hpo.results.overview import print_list
    from hpo.results.view import View

    experiments = []
    for name in names():
        try:
            experiments.append(find(name))
        except UsageError as error:
            print(error, file=sys.stderr)
    summaries = [View(experiment, brief=True).summary(with_workers=False) for experiment in experiments]
    if args.json:
        print_json(summaries)
    else:
        print_list(summaries, [experiment.specification["created"] for experiment in experiments])
    return 0
