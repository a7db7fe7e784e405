"""`hpo check`: what an input file says and means, and every mistake in it."""

from __future__ import annotations

import argparse
from pathlib import Path

from hpo.cli.arguments import add_input, add_json, print_json
from hpo.errors import Complaint, InputError, UserError

HELP = "what an input file says and means, and every mistake in it; runs nothing"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """FILE.in [KEY=VALUE ...] --json --canonical"""
    add_input(parser)
    add_json(parser)
    parser.add_argument("--canonical", action="store_true", help="print the same experiment as a clean input file")


def run(args: argparse.Namespace) -> int:
    """Print the experiment as understood; 0, or 2 when there is a mistake."""
    from hpo import checks

    if args.json:
        return _print_json(args)
    checked = checks.check(Path(args.file), args.overrides, to_run=False)
    if args.canonical:
        from hpo.inputfile.canonical import text

        print(text(checked.inputfile), end="")
    else:
        checks.describe(checked)
    return 0


def _print_json(args: argparse.Namespace) -> int:
    """A mistake is part of the document."""
    from hpo import checks
    from hpo.checks import document

    try:
        checked = checks.check(Path(args.file), args.overrides, to_run=False)
    except UserError as error:
        complaints = error.complaints if isinstance(error, InputError) else [Complaint(str(error))]
        print_json({**document.nothing(), "errors": document.complaints_json(complaints)})
        return error.exit_code
    print_json(document.of(checked))
    return 0
