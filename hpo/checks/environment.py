"""The interpreters, environment modules and folders that &control names: are they there?

What can be missing here and present where the trials run (on the compute nodes of a cluster) is a warning.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hpo.errors import Complaints
from hpo.inputfile import InputFile
from hpo.script import Script
from hpo.script.interpreters import python_at

#: Seconds that `module` or R may take to answer.
PATIENCE = 60


def python_of(inputfile: InputFile) -> Path | None:
    """Return the interpreter that `python_bin_path` names, or None."""
    place = inputfile.control.get("python_bin_path")
    return python_at(Path(place)) if place else None


def search_path(control: Mapping[str, Any]) -> list[Path]:
    """Return the folders of `supp_pythonpath`."""
    return [Path(folder) for folder in (control.get("supp_pythonpath") or "").split(":") if folder]


def check_environment(inputfile: InputFile, script: Script, complaints: Complaints) -> None:
    """Complain of what &control names and what is not there."""
    control = inputfile.control
    if control.get("python_bin_path") and python_of(inputfile) is None:
        complaints.error(f"python_bin_path: there is no Python in {control['python_bin_path']}", *_where(inputfile))
    for folder in search_path(control):
        if not folder.is_dir():
            complaints.error(f"supp_pythonpath: there is no folder {folder}", *_where(inputfile))
    _check_modules(inputfile, complaints)
    if script.runner == "rscript":
        _check_r(inputfile, complaints)


def _where(inputfile: InputFile) -> tuple[Path, None]:
    return inputfile.path, None


# ---- environment modules


def _check_modules(inputfile: InputFile, complaints: Complaints) -> None:
    keywords = ("exec_python_module", "exec_r_module")
    named = [inputfile.control[keyword] for keyword in keywords if inputfile.control.get(keyword)]
    named += inputfile.control.get("supp_modules") or []
    if not named:
        return
    missing = _missing_modules(named)
    if missing is None:
        complaints.warn(f"there is no command `module` here to find {', '.join(named)}", *_where(inputfile))
    for name in missing or []:
        complaints.warn(f"`module avail` does not know the module {name!r} here", *_where(inputfile))


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


def _check_r(inputfile: InputFile, complaints: Complaints) -> None:
    if inputfile.control.get("exec_r_module"):
        return
    if shutil.which("Rscript") is None:
        complaints.error("the model script is in R, but there is no Rscript on PATH", *_where(inputfile))
    elif not _has_jsonlite(inputfile.control.get("supp_r_libs")):
        message = 'the R package jsonlite is missing: install.packages("jsonlite"), or name its folder in supp_r_libs'
        complaints.error(message, *_where(inputfile))


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
