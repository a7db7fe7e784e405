"""`hpo submit-job`: check everything, create the experiment, run it."""

from __future__ import annotations

import argparse

from hpo.cli.arguments import add_input
from hpo.registry import EXECUTORS

HELP = "check an input file, create the experiment and run it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """FILE.in [KEY=VALUE ...] and where to run."""
    add_input(parser)
    parser.add_argument("--executor", choices=EXECUTORS, help="where the workers run (default: Slurm if it is here)")
    parser.add_argument("--detach", action="store_true", help="leave the workers behind and return")
    parser.add_argument("--dry-run", action="store_true", help="print everything, create and start nothing")
    parser.add_argument("--wait", action="store_true", help="stay until jobs of Slurm are done, and tell the end")
    parser.add_argument("--parsable", action="store_true", help="print X007 alone, with Slurm X007;17,18")


def run(args: argparse.Namespace) -> int:
    """Submit; 0, or as docs/commands.md says."""
    from hpo.session import Manner
    from hpo.submission import Submission

    overrides = [*args.overrides, *([f"control.executor={args.executor}"] if args.executor else [])]
    submission = Submission(args.file, overrides)
    manner = Manner(detach=args.detach, wait=args.wait, parsable=args.parsable)
    return submission.run(manner, dry_run=args.dry_run)
