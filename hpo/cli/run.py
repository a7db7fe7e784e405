"""`hpo run`: one run of the defaults, here, now."""

from __future__ import annotations

import argparse

from hpo.cli.arguments import add_input

HELP = "one run of the defaults, here, now, with its output on the terminal"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """FILE.in [KEY=VALUE ...] --trial ID"""
    add_input(parser)
    parser.add_argument("--trial", metavar="ID", help="with the parameters of that row of the grid")
    parser.add_argument("--interactive", action="store_true", help="on a node of the cluster, with its resources")
    parser.add_argument("--pdb", action="store_true", help="in this process, with the debugger where it fails")


def run(args: argparse.Namespace) -> int:
    """Run it; 0, or 1 when the script failed."""
    from hpo.submission import interactive_run, single_run

    start = interactive_run if args.interactive else single_run
    return start(args.file, args.overrides, args.trial, debugger=args.pdb)
