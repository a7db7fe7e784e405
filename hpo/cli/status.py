"""`hpo status`: how far an experiment is."""

from __future__ import annotations

import argparse
import time

from hpo.cli.arguments import add_experiment, add_json, print_json

HELP = "how far an experiment is"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """[EXP] --watch --json"""
    add_experiment(parser)
    add_json(parser)
    parser.add_argument("--watch", action="store_true", help="again every two seconds, until it has ended")


def run(args: argparse.Namespace) -> int:
    """Print the state; 0."""
    from hpo.experiment import find
    from hpo.liveness import Liveness
    from hpo.results.overview import print_status
    from hpo.results.view import View

    experiment = find(args.experiment)
    liveness = Liveness(experiment.workers, kill=False)  # it must remember which heartbeats it saw move
    while True:
        view = View(experiment, liveness=liveness)
        if args.json:
            print_json(view.summary())
        else:
            print_status(view)
        if not args.watch or view.experiment_state() != "running":
            return 0
        time.sleep(2)
        print()
