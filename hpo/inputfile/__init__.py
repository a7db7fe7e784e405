"""Reading an input file: text -> `InputFile`, every mistake with its file and line, all at once.

The sections are cut out (`groups`), &control and &default_model are split into assignments (`assignments`) whose values
are decided one by one (`values`), &control is read by the table of `keywords`, and &param_space by `spaces`; `reader`
puts them together.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hpo.inputfile.model import InputFile
from hpo.inputfile.reader import Inspection, Reader

__all__ = ["InputFile", "Inspection", "read"]


def read(
    path: Path, overrides: Sequence[str] = (), *, to_run: bool = True, inspect: Inspection | None = None
) -> InputFile:
    """Read the input file `path`; `overrides` are KEY=VALUE arguments of the command line.

    to_run: whether it is read to be run; if not, what this version cannot do is a warning, not an error.
    inspect: called when a model script was found, so that its mistakes are reported together with those of the file.
    Raises `hpo.errors.InputError` with every mistake.
    """
    return Reader(Path(path), overrides).read(to_run, inspect)
