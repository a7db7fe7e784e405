"""`hpo aggregate-results`: all trials as CSV."""

from __future__ import annotations

import argparse

from hpo.cli.arguments import add_experiment

HELP = "all trials as CSV, sorted by result, into candle_results.csv"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """[EXP] [FORMAT] -o FILE"""
    add_experiment(parser)
    parser.add_argument("format", metavar="FORMAT", nargs="?", help="a printf format for the result, e.g. %%.4f")
    parser.add_argument("-o", "--output", metavar="FILE", default="candle_results.csv", help="- for the terminal")


def run(args: argparse.Namespace) -> int:
    """Write the table; 0."""
    from hpo.results.table import aggregate

    return aggregate(args.experiment, args.format, args.output)
