"""`hpo rerun`: one trial again, from the experiment's own copy of the code."""

from __future__ import annotations

import argparse

from hpo.cli.arguments import add_trial, experiment_and_trial

HELP = "one trial again, from the experiment's own snapshot, in a fresh folder, and compare the value"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """[EXP] TRIAL --pdb"""
    add_trial(parser)
    parser.add_argument("--pdb", action="store_true", help="in this process, with the debugger where it fails")


def run(args: argparse.Namespace) -> int:
    """Run it; 0 when it ends as before, else 1."""
    from hpo.single import rerun

    experiment, number = experiment_and_trial(args.words)
    return rerun(experiment, number, debugger=args.pdb)
