"""The interpreters, environment modules and folders that &control names: are they there?

What can be missing here and present where the trials run (on the compute nodes of a cluster) is a warning.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from hpo.errors import Complaints
from hpo.inputfile import InputFile
from hpo.script import Script
from hpo.script.interpreters import python_at

#: Seconds that `module` or R may take to answer.
PATIENCE = 60


def python_of(inputfile: InputFile) -> Path | None:
    """Return the interpreter that `python_bin_path` names, or None."""
    place = inputfile.control["python_bin_path"]
    return python_at(Path(place)) if place else None


def search_path(inputfile: InputFile) -> list[Path]:
    """Return the folders of `supp_pythonpath`; relative ones begin in the input file's folder."""
    folders = (inputfile.control["supp_pythonpath"] or "").split(":")
    return [inputfile.path.parent / folder for folder in folders if folder]


def check_environment(inputfile: InputFile, script: Script, file: Path, complaints: Complaints) -> None:
    """Complain of what &control names and what is not there; `file` is the input file as its user named it."""
    place = inputfile.control["python_bin_path"]
    if place and python_of(inputfile) is None:
        complaints.error(f"python_bin_path: there is no Python in {place}", *_where(inputfile, "python_bin_path", file))
    for folder in search_path(inputfile):
        if not folder.is_dir():
            message = f"supp_pythonpath: there is no folder {folder}"
            complaints.error(message, *_where(inputfile, "supp_pythonpath", file))
    _check_modules(inputfile, file, complaints)
    if script.runner == "rscript" and not inputfile.control["exec_r_module"]:
        _check_r(inputfile.control["supp_r_libs"], script.path, complaints)


def _where(inputfile: InputFile, keyword: str, file: Path) -> tuple[Path | None, int | None]:
    """Return the file and line in which a keyword was given; neither, for the command line."""
    name, _, line = inputfile.given[keyword].rpartition(":")
    return (file, int(line)) if name else (None, None)


# ---- environment modules


def _check_modules(inputfile: InputFile, file: Path, complaints: Complaints) -> None:
    named: dict[str, str] = {}
    for keyword in ("supp_modules", "exec_python_module", "exec_r_module"):
        value = inputfile.control[keyword] or []
        named |= dict.fromkeys([value] if isinstance(value, str) else value, keyword)
    missing = _missing_modules(list(named)) if named else []
    if missing is None:
        complaints.warn(f"there is no command `module` here to find {', '.join(named)}", file)
    for name in missing or []:
        complaints.warn(f"`module avail` does not know the module {name!r} here", *_where(inputfile, named[name], file))


def _missing_modules(names: Sequence[str]) -> list[str] | None:
    """Return those that `module avail` does not list; None when there is no such command, or no answer."""
    ask = 'type module >/dev/null 2>&1 || exit 9; for m in "$@"; do echo "?$m"; module -t avail "$m" 2>&1; done; exit 0'
    try:
        # A login shell, since `module` is a function that the system's profile defines.
        done = subprocess.run(
            ["bash", "-lc", ask, "bash", *names],
            capture_output=True, text=True, timeout=PATIENCE, stdin=subprocess.DEVNULL, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    answers = [answer.splitlines() for answer in f"\n{done.stdout}".split("\n?")[1:]]
    return [name for name, answer in zip(names, answers, strict=False) if not _lists(answer[1:], name)]


def _lists(lines: Sequence[str], name: str) -> bool:
    """True when a module, or a version of it, is among the lines of ``module -t avail``."""
    found = [line.partition("(")[0].strip() for line in lines]
    return any(module == name or module.startswith(f"{name}/") for module in found)


# ---- R


def _check_r(libraries: str | None, script: Path, complaints: Complaints) -> None:
    if shutil.which("Rscript") is None:
        complaints.error("the script is in R, but there is no Rscript on PATH", script)
    elif not _has_jsonlite(libraries):
        message = 'the R package jsonlite is missing: install.packages("jsonlite"), or name its folder in supp_r_libs'
        complaints.error(message, script)


_ASK_FOR_JSONLITE = 'quit(status = !requireNamespace("jsonlite", quietly = TRUE))'


def _has_jsonlite(libraries: str | None) -> bool:
    folders = [folder for folder in (libraries, os.environ.get("R_LIBS")) if folder]
    try:
        done = subprocess.run(
            ["Rscript", "--no-save", "--no-restore", "-e", _ASK_FOR_JSONLITE],
            capture_output=True, timeout=PATIENCE, env={**os.environ, "R_LIBS": ":".join(folders)}, check=False,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return True  # R was slow; the first trial will tell
    return done.returncode == 0
