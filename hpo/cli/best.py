"""`hpo best`: the best trial, ready to paste."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from hpo.cli.arguments import add_experiment, add_json, print_json

if TYPE_CHECKING:
    from hpo.results.view import Row, View

HELP = "the best trial as an &default_model section, ready to paste"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """[EXP] --json"""
    add_experiment(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print the best; 0, or 1 when no trial has completed."""
    from hpo.errors import RunError
    from hpo.experiment import find
    from hpo.inputfile.canonical import default_model
    from hpo.results.view import View

    experiment = find(args.experiment)
    view = View(experiment)
    several = len(experiment.objectives) > 1
    rows = view.front() if several else [best for best in [view.best()] if best]
    if not rows:
        raise RunError(f"no trial of {experiment.name} has completed yet: 'hpo status {experiment.name}' says more")
    if args.json:
        documents = [_document(view, row, several) for row in rows]
        print_json(documents if several else documents[0])
        return 0
    for row in rows:
        values = ", ".join(f"{name} = {value!r}" for name, value in view.objectives(row).items())
        print(f"# {row.id} of {experiment.name}: {values if several else repr(row.value)}")
        print(default_model({**experiment.defaults, **row.params}), end="")
    return 0


def _document(view: View, row: Row, several: bool) -> dict[str, Any]:
    document = {"id": row.id, "number": row.number, "value": row.value, "params": dict(row.params)}
    return {**document, "values": view.objectives(row)} if several else document
