"""Do the interpreters of R and bash understand a script? They are asked to read it, never to run it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence

from hpo.errors import Complaints
from hpo.inputfile import InputFile
from hpo.runners import environment
from hpo.runners.environment import Changes, EnvironmentFault
from hpo.runners.rscript import rscript
from hpo.script import Script

#: Seconds that an interpreter may take.
PATIENCE = 60

#: Reads the script as the runner does.
_READ_R = """
lines <- readLines(commandArgs(TRUE)[[1]], warn = FALSE, encoding = "UTF-8")
tryCatch(
  invisible(parse(text = lines, keep.source = FALSE, encoding = "UTF-8")),
  error = function(e) cat(conditionMessage(e))
)
"""
_R_FAULT = re.compile(r":(?P<line>\d+):\d+: (?P<what>.*)")
_BASH_FAULT = re.compile(r": line (?P<line>\d+): (?P<what>.*)")
_BASH_ENDS = re.compile(r"^[^\S\n]*(?:exit|exec)\b", re.MULTILINE)


def check_syntax(inputfile: InputFile, script: Script, complaints: Complaints) -> None:
    """Complain of a script in R or bash that its interpreter cannot read; nothing without an interpreter."""
    try:
        if script.runner == "rscript":
            _check_r(inputfile, script, complaints)
        elif script.runner == "bash":
            _check_bash(inputfile, script, complaints)
    except EnvironmentFault:
        return  # which was said


def _check_r(inputfile: InputFile, script: Script, complaints: Complaints) -> None:
    program, changes = rscript(inputfile.control)
    said = _said([program, "--vanilla", "-e", _READ_R, str(script.path)], {**changes, "LANGUAGE": "en"})
    fault = _R_FAULT.search(said)
    if fault:
        complaints.error(f"this is not R: {fault['what']}", script.path, int(fault["line"]))


def _check_bash(inputfile: InputFile, script: Script, complaints: Complaints) -> None:
    """What stands behind the end of a script, such as data, is never read: there a fault is a warning."""
    changes = environment.modules(inputfile.control)
    program = environment.which(["bash"], changes)
    if program is None or not script.path.is_file():
        return
    text = script.path.read_text("utf-8", "replace")
    patterns = ["-O", "extglob"] if "extglob" in text else []  # which changes the grammar
    said = _said([program, *patterns, "-n", str(script.path)], {**changes, "LC_ALL": "C", "BASH_ENV": None})
    fault = _BASH_FAULT.search(said)
    if fault:
        before = "".join(text.splitlines(keepends=True)[: int(fault["line"]) - 1])
        complain = complaints.warn if _BASH_ENDS.search(before) else complaints.error
        complain(f"this is not bash: {fault['what']}", script.path, int(fault["line"]))


def _said(words: Sequence[str], changes: Changes) -> str:
    """Return what a failed program, or R, has to say; nothing when it does not start or answer."""
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, errors="replace", timeout=PATIENCE, stdin=subprocess.DEVNULL,
            env=environment.applied(changes),
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout or (done.stderr if done.returncode else "")
