"""`hpo import-template`: an input file and its scripts, to begin with."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "copy a template into this folder; without a name, list the templates"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """[NAME]"""
    parser.add_argument("name", metavar="NAME", nargs="?", help="a template; nothing that exists is overwritten")


def run(args: argparse.Namespace) -> int:
    """Copy the template, or list all; 0."""
    from hpo import templates

    if args.name is None:
        for template in templates.all_templates():
            print(f"{template.name:<12} {template.summary}")
        return 0
    template = templates.find(args.name)
    copied = templates.copy(template, Path())
    print(f"copied {', '.join(map(str, copied))}" if copied else "all of it is here already")
    print(f"next: hpo submit-job {template.input.name}")
    return 0
