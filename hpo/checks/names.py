"""What the script reads, held against what the input file defines."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from hpo import experiment
from hpo.errors import Complaint, Complaints, did_you_mean
from hpo.inputfile import InputFile
from hpo.script import Analysis, Read
from hpo.space import Rows
from hpo.space.expressions import names_in

#: The names that every dictionary has beside the user's own.
RESERVED = frozenset({*experiment.reserved("", "", 0, {}), "output_dir"})


def defined(inputfile: InputFile) -> list[str]:
    """Return the names that the input file gives a value, in a single run or in some trial."""
    return [*inputfile.defaults, *([] if inputfile.single_run else inputfile.space.names)]


def check_names(inputfile: InputFile, analysis: Analysis, file: Path, complaints: Complaints) -> list[Complaint]:
    """Complain of names that the script reads and nobody defines; return notes on what is defined and nobody reads.

    An error is only what must end in a KeyError. A read for which the script has an answer of its own is a warning of
    its own when a defined name is so near that it may be meant; all others share one; of the fields of a dataclass
    nothing is said. A parameter that is searched and never read is a warning. file: the input file as its user named
    it.
    """
    reads = _first_reads(analysis.reads.names)
    names = defined(inputfile)
    unknown = [read for read in reads if read.name not in {*names, *RESERVED}]
    _complain_of_unknown(inputfile, analysis.script.path, [read for read in unknown if not read.field], complaints)
    if not inputfile.single_run:
        _warn_of_missing(inputfile, analysis.script.path, reads, complaints)
    if analysis.reads.everything:
        return _own(names)
    unread = [name for name in dict.fromkeys(names) if name not in {*RESERVED, *(read.name for read in reads)}]
    searched = [] if inputfile.single_run else [name for name in unread if _makes_trials(inputfile, name)]
    _warn_of_unread(searched, inputfile, reads, file, complaints)
    return [*_own(names), *_unread([name for name in unread if name not in searched], unknown)]


def _own(names: Iterable[str]) -> list[Complaint]:
    """Note the names that every script finds in its dictionary, and that the input file gives values of its own."""
    taken = [name for name in dict.fromkeys(names) if name in RESERVED]
    message = "{!r} has the value that the input file gives it, in place of the one that every trial gets from hpo"
    return [Complaint(message.format(name)) for name in taken]


def _first_reads(reads: Iterable[Read]) -> list[Read]:
    """Return for each name the read that says most: a definite one, else one without a default; by line."""
    best: dict[str, Read] = {}
    for read in sorted(reads, key=lambda read: (not read.definite, read.optional, read.line)):
        best.setdefault(read.name, read)
    return sorted(best.values(), key=lambda read: read.line)


def without_default(inputfile: InputFile, name: str) -> str | None:
    """Say what to do when a single run has no value for a parameter of the search; None for any other name."""
    if not inputfile.single_run or name not in inputfile.space.names:
        return None
    trial = "--trial ID, or " if inputfile.control["workflow"] == "grid" else ""
    return f"which has no default: give {trial}default_model.{name}=VALUE"


def _complain_of_unknown(inputfile: InputFile, path: Path, unknown: list[Read], complaints: Complaints) -> None:
    optional = []
    for read in unknown:
        near = did_you_mean(read.name, defined(inputfile))
        if read.optional and not near:
            optional.append(read)
        else:
            why = without_default(inputfile, read.name) or f"which the input file does not define.{near}"
            message = f"the script reads {read.name!r}, {why}"
            (complaints.error if read.definite else complaints.warn)(message, path, read.line)
    if optional:
        names = ", ".join(repr(read.name) for read in optional)
        message = f"the script reads {names}, which the input file does not define, and has its own values for them"
        complaints.warn(message, path, optional[0].line)


def _warn_of_missing(inputfile: InputFile, path: Path, reads: list[Read], complaints: Complaints) -> None:
    """Warn of a name that the script needs in every trial, without a default, and that some trials do not have."""
    for read in reads:
        if read.definite and read.name in inputfile.space.names and read.name not in inputfile.defaults:
            trial = trial_without(inputfile, read.name)
            if trial:
                message = f"the script reads {read.name!r}, which has no default and is missing from {trial}"
                complaints.warn(message, path, read.line)


def trial_without(inputfile: InputFile, name: str) -> str | None:
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


def _makes_trials(inputfile: InputFile, name: str) -> bool:
    """Whether trials differ in a parameter, and in nothing that depends on it."""
    space = inputfile.space
    if isinstance(space, Rows):
        return name in space.names and _varies(space, name)
    counts = {parameter.name: parameter.count for parameter in space.parameters}
    asked = {asked for parameter in space.parameters for asked in names_in(parameter.condition)}
    return counts.get(name, 1) != 1 and name not in asked


def _varies(space: Rows, name: str) -> bool:
    points = (space.point(number) for number in range(space.size()))
    first = next(points)
    return any(point.get(name) != first.get(name) for point in points)


def _warn_of_unread(
    names: Iterable[str], inputfile: InputFile, reads: Iterable[Read], file: Path, complaints: Complaints
) -> None:
    """Warn of parameters that the script never reads, with the name that may be meant."""
    others = [read.name for read in reads if read.name not in inputfile.space.names]
    for name in names:
        message = f"the script never reads the parameter {name!r}, so all its values train the same model."
        complaints.warn(message + did_you_mean(name, others), file)


def _unread(names: Iterable[str], unknown: Iterable[Read]) -> list[Complaint]:
    """Note the values that the script does not read: templates leave such, or they are misspelt."""
    meant = [read.name for read in unknown]
    return [Complaint(f"the script does not read {name!r}.{did_you_mean(name, meant)}") for name in names]
