"""`hpo resume`: run what is left."""

from __future__ import annotations

import argparse

from hpo.errors import UsageError

HELP = "run what is left of an experiment; safe at any time, also twice at once"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """[EXP] [n_trials=N] [max_hours=H] --retry-failed --detach"""
    limits = "X007, a folder, or nothing for the last; n_trials=200 or max_hours=48 let it go on for longer"
    parser.add_argument("words", metavar="[EXP] KEY=VALUE", nargs="*", help=limits)
    parser.add_argument("--retry-failed", action="store_true", help="take failed trials again")
    parser.add_argument("--detach", action="store_true", help="leave the workers behind and return")


def run(args: argparse.Namespace) -> int:
    """Resume; 0 with nothing left, else as `submit-job`."""
    from hpo.experiment import find
    from hpo.search.limits import read_limits
    from hpo.session import Manner, resume

    names = [word for word in args.words if "=" not in word]
    if len(names) > 1:
        raise UsageError(f"expected one experiment, but there are {len(names)}: {' '.join(names)}")
    experiment = find(names[0] if names else None)
    limits = read_limits(experiment, [word for word in args.words if "=" in word])
    return resume(experiment, Manner(detach=args.detach), retry_failed=args.retry_failed, limits=limits)
