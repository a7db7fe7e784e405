"""`hpo resume`: run what is left."""

from __future__ import annotations

import argparse

from hpo.cli.arguments import add_experiment

HELP = "run what is left of an experiment; safe at any time, also twice at once"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """[EXP] --retry-failed --detach"""
    add_experiment(parser)
    parser.add_argument("--retry-failed", action="store_true", help="take failed trials again")
    parser.add_argument("--detach", action="store_true", help="leave the workers behind and return")


def run(args: argparse.Namespace) -> int:
    """Resume; 0 with nothing left, else as `submit-job`."""
    from hpo.experiment import find
    from hpo.session import resume

    return resume(find(args.experiment), retry_failed=args.retry_failed, detached=args.detach)
