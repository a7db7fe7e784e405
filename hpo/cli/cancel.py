"""`hpo cancel`: stop the workers of an experiment, wherever they are."""

from __future__ import annotations

import argparse

from hpo.cli.arguments import add_experiment

HELP = "stop an experiment's workers; what has finished stays, 'hpo resume' continues"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """[EXP]"""
    add_experiment(parser)


def run(args: argparse.Namespace) -> int:
    """Cancel; 0."""
    from hpo.experiment import find
    from hpo.session import cancel

    return cancel(find(args.experiment))
