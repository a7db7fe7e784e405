"""`hpo generate-grid`: write the product of lists of values as JSON rows, one a trial."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import IO

from hpo.errors import UsageError, writing
from hpo.grid_expression import Axis, GridError, parse_axis
from hpo.space import default_id

HELP = "write a grid of hyperparameters as JSON rows, for a parameter space"

DEFAULT_FILE = "hyperparameter_grid.txt"
#: A grid is never meant to be larger; it would fill the disk.
MAX_POINTS = 100_000_000
_CHUNK = 10_000

_EPILOG = """\
example:
  hpo generate-grid "['epochs', np.arange(2,11,2)]" "['batch_size', [64,128]]"

Each argument is a name and its values: a list, arithmetic, [2**i for i in range(4, 9)], or a function of NumPy (arange,
linspace, logspace, geomspace, array, power, round, …). The first list changes slowest.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("axes", nargs="+", metavar="LIST", help="\"['name', values]\", in double quotes")
    parser.add_argument(
        "-o",
        "--output",
        default=DEFAULT_FILE,
        metavar="FILE",
        help=f"where to write ({DEFAULT_FILE}); - is the terminal",
    )


def run(args: argparse.Namespace) -> int:
    """Write the grid; an earlier file of that name is kept under another."""
    axes = _axes(args.axes)
    if args.output == "-":
        _write_rows(axes, sys.stdout)
        return 0
    path = Path(args.output)
    kept = _write(axes, path)
    sizes = " × ".join(f"{len(axis.values)} {axis.name}" for axis in axes)
    print(f"wrote {_count(axes)} rows ({sizes}) to {path}", file=sys.stderr)
    if kept is not None:
        print(f"the file that was there is kept as {kept}", file=sys.stderr)
    return 0


def rows(axes: Sequence[Axis]) -> Iterator[str]:
    """Yield the rows of the grid as lines of JSON, the first axis outermost; nothing but the axes is held in memory."""
    parts = [[f"{json.dumps(axis.name)}: {json.dumps(value)}" for value in axis.values] for axis in axes]
    for number, pairs in enumerate(product(*parts)):
        yield f'{{"id": "{default_id(number)}", {", ".join(pairs)}}}\n'


def _axes(texts: Sequence[str]) -> list[Axis]:
    """Return the axes; every mistake is reported, with the number of its argument."""
    axes: dict[str, Axis] = {}
    mistakes = []
    for number, text in enumerate(texts, 1):
        try:
            axis = parse_axis(text)
            if axis.name in axes:
                raise GridError(f"{axis.name!r} is given twice")
            axes[axis.name] = axis
        except GridError as error:
            mistakes.append(f"argument {number}: {error}")
    if not mistakes and _count(list(axes.values())) > MAX_POINTS:
        mistakes.append(f"the grid would have {_count(list(axes.values())):,} rows; {MAX_POINTS:,} are the most")
    if mistakes:
        raise UsageError("\n".join(mistakes))
    return list(axes.values())


def _count(axes: Sequence[Axis]) -> int:
    return math.prod(len(axis.values) for axis in axes)


def _write_rows(axes: Sequence[Axis], file: IO[str]) -> None:
    lines: list[str] = []
    for line in rows(axes):
        lines.append(line)
        if len(lines) == _CHUNK:
            file.write("".join(lines))
            lines.clear()
    file.write("".join(lines))


def _write(axes: Sequence[Axis], path: Path) -> Path | None:
    """Write beside, then rename; return the new name of the file that was there, if it was another."""
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is not a file")
    if not path.parent.is_dir():
        raise UsageError(f"the folder {path.parent} does not exist")
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with writing(path):
            with beside.open("w", encoding="utf-8") as file:
                _write_rows(axes, file)
            kept = _set_aside(path, beside)
            beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return kept


def _set_aside(path: Path, new: Path) -> Path | None:
    """Give the earlier file, when its contents are others, a name that is free."""
    if not path.exists() or path.read_bytes() == new.read_bytes():
        return None
    number = 1
    while (aside := path.with_name(f"{path.name}.{number}")).exists():
        number += 1
    path.rename(aside)
    return aside
