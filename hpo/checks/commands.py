"""`command` and `result_pattern`: can they be filled in, run and read?"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from hpo.checks.names import RESERVED, defined, trial_without, without_default
from hpo.errors import Complaints
from hpo.inputfile import InputFile
from hpo.runners import environment
from hpo.runners.command import command_errors, pattern_errors, places
from hpo.runners.environment import EnvironmentFault
from hpo.script import Script
from hpo.slurm import place

_NOT_FOUND = "command: trials run in folders of their own and will not find {!r}; give its whole path, as in $(pwd)/..."


def check_command(inputfile: InputFile, file: Path, complaints: Complaints) -> None:
    """Complain of a command that some trial could not run, and warn of one that is not found here."""
    command = inputfile.control["command"]
    if command is None:
        return
    where = inputfile.where("command", file)
    known = {*defined(inputfile), *inputfile.space.names, *RESERVED}
    errors = command_errors(command, known) or list(_without_value(inputfile, command))
    for message in errors:
        complaints.error(message, *where)
    if not errors:
        words = shlex.split(command)
        here = inputfile.single_run or not place.submits(inputfile.control["executor"])
        if _is_relative(words[0]):
            complaints.error(_NOT_FOUND.format(words[0]), *where)
        elif not _is_there(inputfile, words[0]):
            (complaints.error if here else complaints.warn)(f"command: there is no program {words[0]!r}", *where)
        for word in _beside(words[1:], inputfile.path.parent):
            complaints.warn(_NOT_FOUND.format(word), *where)


def check_pattern(inputfile: InputFile, script: Script, file: Path, complaints: Complaints) -> None:
    """Complain of a `result_pattern` that finds nothing: no regular expression, or not for a command."""
    pattern = inputfile.control["result_pattern"]
    if pattern is None:
        return
    where = inputfile.where("result_pattern", file)
    for message in pattern_errors(pattern):
        complaints.error(message, *where)
    if script.runner != "command":
        message = f"result_pattern is for commands; a {script.runner} script leaves its value in a variable"
        complaints.warn(message, *where)


def _without_value(inputfile: InputFile, command: str) -> Iterator[str]:
    """Say which parameters some trials lack, for which the command has no default."""
    for name in places(command):
        if name in inputfile.space.names and name not in inputfile.defaults:
            remedy, trial = without_default(inputfile, name), trial_without(inputfile, name)
            if remedy:
                yield f"command has {{{name}}}, {remedy}"
            elif trial:
                yield f"command has {{{name}}}, which has no default and is missing from {trial}"


def _is_there(inputfile: InputFile, program: str) -> bool:
    """Whether a program can be started: it is on PATH when the modules are loaded, or its path leads to one."""
    if "{" in program:
        return True  # the trial's values tell
    try:
        changes = environment.modules(inputfile.control)
    except EnvironmentFault:
        return True  # the module may bring it; what is wrong with that is said
    return environment.which([program], changes) is not None


def _is_relative(program: str) -> bool:
    return "/" in program and program[0] not in "/{"


def _beside(words: list[str], folder: Path) -> list[str]:
    """Return the words that name files beside the input file, by relative paths."""
    paths = [word for word in words if "{" not in word and not os.path.isabs(word)]
    return [word for word in paths if (folder / word).is_file()]
