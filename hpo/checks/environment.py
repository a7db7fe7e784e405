"""The interpreters, environment modules, packages and folders that &control names: are they there?

They are sought as the runners seek them. What can be missing here and present where the trials run is a warning.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from hpo import runners
from hpo.errors import Complaints
from hpo.inputfile import InputFile
from hpo.runners import environment
from hpo.runners.environment import EnvironmentFault
from hpo.script import Script
from hpo.slurm import place

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
    language, keywords = runners.TABLE[script.runner], inputfile.control
    if not _check_modules(inputfile, language.module, file, complaints.error if here and to_run else complaints.warn):
        if script.runner != "python" or not keywords["python_bin_path"]:
            return
        keywords = {"python_bin_path": keywords["python_bin_path"]}  # which leads to a Python without modules, too
    for message, keyword in language.missing(keywords):
        complain(message, *(inputfile.where(keyword, file) if keyword in inputfile.given else (script.path, None)))


def _check_folders(inputfile: InputFile, file: Path, complaints: Complaints) -> None:
    for keyword in ("supp_pythonpath", "supp_r_libs"):
        for folder in environment.words(inputfile.control[keyword], os.pathsep):
            if not os.path.isdir(folder):
                complaints.error(f"{keyword}: there is no folder {folder}", *inputfile.where(keyword, file))


# ---- environment modules


def _check_modules(inputfile: InputFile, further: str | None, file: Path, complain: Complain) -> bool:
    """Load the modules one behind the other, as the trials do; return whether all are there."""
    asked = _modules(inputfile, further)
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


def _modules(inputfile: InputFile, further: str | None) -> dict[str, str]:
    """Return the modules that a runner loads, in order, each with the keyword that names it."""
    keywords = ["supp_modules", *([further] if further else [])]
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
