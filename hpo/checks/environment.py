"""The interpreters, environment modules, packages and folders that &control names: are they there?

They are sought as the runners seek them. What can be missing here and present where the trials run is a warning.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

from hpo.errors import Complaints
from hpo.inputfile import InputFile
from hpo.runners import environment
from hpo.runners.environment import Changes, EnvironmentFault
from hpo.runners.rscript import rscript
from hpo.script import Script
from hpo.slurm import place

#: Seconds that R may take to answer.
PATIENCE = 60
#: Runner -> the keyword that names the environment module of its interpreter.
_MODULE_OF: Mapping[str, str] = {"python": "exec_python_module", "rscript": "exec_r_module"}
_NO_JSONLITE = 'the R package jsonlite is missing: install.packages("jsonlite"), or name its folder in supp_r_libs'

Complain: TypeAlias = Callable[[str, Path | None, int | None], None]


def python_of(inputfile: InputFile) -> Path | None:
    """Return the other interpreter that the keywords name for a Python script; None for our own, or a missing one."""
    if not any(inputfile.control[keyword] for keyword in ("python_bin_path", "exec_python_module")):
        return None
    try:
        return Path(environment.python(inputfile.control)[0])
    except EnvironmentFault:
        return None


def search_path(inputfile: InputFile) -> list[Path]:
    """Return the folders of `supp_pythonpath`."""
    return [Path(folder) for folder in environment.words(inputfile.control["supp_pythonpath"], os.pathsep)]


def check_environment(
    inputfile: InputFile, script: Script, file: Path, complaints: Complaints, *, to_run: bool
) -> None:
    """Complain of what &control names and what is not there.

    file: the input file as its user named it. to_run: whether the trials start now; on this machine a module that does
    not load is an error then. Module names are those of a site, and files are checked elsewhere, too.
    """
    here = inputfile.single_run or not place.submits(inputfile.control["executor"])
    complain = complaints.error if here else complaints.warn
    _check_folders(inputfile, file, complaints)
    if _check_modules(inputfile, script.runner, file, complaints.error if here and to_run else complaints.warn):
        if script.runner == "python":
            _check_python(inputfile, file, complain)
        elif script.runner == "rscript":
            _check_r(inputfile, script.path, file, complain)
    elif script.runner == "python" and inputfile.control["python_bin_path"]:
        _check_python(inputfile, file, complain, modules=False)


def _check_folders(inputfile: InputFile, file: Path, complaints: Complaints) -> None:
    for keyword in ("supp_pythonpath", "supp_r_libs"):
        for folder in environment.words(inputfile.control[keyword], os.pathsep):
            if not os.path.isdir(folder):
                complaints.error(f"{keyword}: there is no folder {folder}", *inputfile.where(keyword, file))


# ---- environment modules


def _check_modules(inputfile: InputFile, runner: str, file: Path, complain: Complain) -> bool:
    """Load the modules one behind the other, as the trials do; return whether all are there."""
    asked = _modules(inputfile, runner)
    if _fault(tuple(asked)) is None:
        return True
    loaded: tuple[str, ...] = ()
    for name, keyword in asked.items():
        fault = _fault((*loaded, name))
        if fault is None:
            loaded += (name,)
        else:
            complain(f"{keyword}: {fault}", *inputfile.where(keyword, file))
    return False


def _modules(inputfile: InputFile, runner: str) -> dict[str, str]:
    """Return the modules that a runner loads, in order, each with the keyword that names it."""
    keywords = ["supp_modules", *([_MODULE_OF[runner]] if runner in _MODULE_OF else [])]
    named: dict[str, str] = {}
    for keyword in keywords:
        for name in environment.words(inputfile.control[keyword]):
            named.setdefault(name, keyword)
    return named


def _fault(names: tuple[str, ...]) -> str | None:
    try:
        environment.load_modules(names)
    except EnvironmentFault as fault:
        return str(fault)
    return None


# ---- interpreters


def _check_python(inputfile: InputFile, file: Path, complain: Complain, *, modules: bool = True) -> None:
    settings = inputfile.control if modules else {"python_bin_path": inputfile.control["python_bin_path"]}
    try:
        environment.python(settings)
    except EnvironmentFault as fault:
        keyword = "python_bin_path" if settings["python_bin_path"] else "exec_python_module"
        complain(str(fault), *inputfile.where(keyword, file))


def _check_r(inputfile: InputFile, script: Path, file: Path, complain: Complain) -> None:
    try:
        program, changes = rscript(inputfile.control)
    except EnvironmentFault as fault:
        complain(f"the script is in R, but {fault}", script, None)
        return
    if not _has_jsonlite(program, changes):
        where = inputfile.where("supp_r_libs", file) if "supp_r_libs" in inputfile.given else (script, None)
        complain(_NO_JSONLITE, *where)


_ASK_FOR_JSONLITE = 'quit(status = !requireNamespace("jsonlite", quietly = TRUE))'


def _has_jsonlite(program: str, changes: Changes) -> bool:
    ask = [program, "--no-save", "--no-restore", "-e", _ASK_FOR_JSONLITE]
    try:
        done = subprocess.run(ask, capture_output=True, timeout=PATIENCE, env=environment.applied(changes), check=False)
    except (OSError, subprocess.SubprocessError):
        return True  # R was slow; the first trial will tell
    return done.returncode == 0
