"""What the script reads, held against what the input file defines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from hpo import experiment
from hpo.errors import Complaint, Complaints, did_you_mean
from hpo.inputfile import InputFile
from hpo.script import Analysis, Read
from hpo.space import Rows

#: The names that every dictionary has beside the user's own.
RESERVED = frozenset({*experiment.reserved("", "", 0, {}), "output_dir"})


def check_names(inputfile: InputFile, analysis: Analysis, complaints: Complaints) -> list[Complaint]:
    """Complain of names that the script reads and nobody defines; return notes on what is defined and nobody reads.

    An error is only what must end in a KeyError. A read for which the script has an answer of its own is a warning of
    its own when a defined name is so near that it may be meant; all others share one.
    """
    searched = [] if inputfile.single_run else inputfile.space.names
    defined = [*inputfile.defaults, *searched]
    path = analysis.script.path
    unknown = {n: r for n, r in _first_reads(analysis.reads.names).items() if n not in {*defined, *RESERVED}}
    for read in unknown.values():
        near = did_you_mean(read.name, defined)
        if near or not read.optional:
            message = f"the script reads {read.name!r}, which the input file does not define.{near}"
            (complaints.error if read.definite else complaints.warn)(message, path, read.line)
    optional = [r for r in unknown.values() if r.optional and not did_you_mean(r.name, defined)]
    _warn_of_optional(path, optional, complaints)
    if not inputfile.single_run:
        _check_missing_in_rows(inputfile, analysis, complaints)
    return [] if analysis.reads.everything else _unread(inputfile, analysis, unknown)


def _first_reads(reads: Iterable[Read]) -> Mapping[str, Read]:
    """Return for each name the read that says most: a definite one, else one without a default, else the first."""
    ranked = sorted(reads, key=lambda read: (not read.definite, read.optional, read.line))
    return {read.name: read for read in reversed(ranked)}


def _warn_of_optional(path: Path, reads: list[Read], complaints: Complaints) -> None:
    if reads:
        names = ", ".join(repr(read.name) for read in sorted(reads, key=lambda read: read.line))
        what = "which the input file does not define, and has its own values for them"
        complaints.warn(f"the script reads {names}, {what}", path, min(read.line for read in reads))


def _check_missing_in_rows(inputfile: InputFile, analysis: Analysis, complaints: Complaints) -> None:
    """Warn of a name that the script needs in every trial, without a default, and that some trials do not have."""
    for read in analysis.reads.names:
        if read.definite and read.name in inputfile.space.names and read.name not in inputfile.defaults:
            trial = _trial_without(inputfile, read.name)
            if trial:
                message = f"the script reads {read.name!r}, which has no default and is missing from {trial}"
                complaints.warn(message, analysis.script.path, read.line)


def _trial_without(inputfile: InputFile, name: str) -> str | None:
    """Say which trial lacks a parameter, or None when all have it."""
    space = inputfile.space
    if isinstance(space, Rows):
        first = _row_without(space, name)
        return None if first is None else f"the trial {space.trial_id(first)}"
    conditional = any(p.name == name and p.condition is not None for p in space.parameters)
    return "the trials in which its condition does not hold" if conditional else None


def _row_without(space: Rows, name: str) -> int | None:
    """Return the first row without a parameter; as many mentions as rows are taken for one in each."""
    if space.data.count(json.dumps(name).encode()) >= space.size():
        return None
    return next((number for number in range(space.size()) if name not in space.point(number)), None)


def _unread(inputfile: InputFile, analysis: Analysis, unknown: Iterable[str]) -> list[Complaint]:
    """Note the defaults and parameters that the script does not read: templates leave such, or they are misspelt."""
    read = {r.name for r in analysis.reads.names}
    varied = set(inputfile.space.names)
    notes = []
    for name in dict.fromkeys([*inputfile.space.names, *inputfile.defaults]):
        if name not in read and name not in RESERVED:
            what = "parameter: trials that differ in it alone are alike" if name in varied else "default"
            notes.append(Complaint(f"the script does not read {name!r}, a {what}.{did_you_mean(name, unknown)}"))
    return notes
