"""Interpreters and their environments: environment modules, virtual and conda environments, folders of libraries.

Environment modules are shell functions that change variables. They are loaded once per worker, by the shell that knows
them, and the difference they make is what trials get.
"""

from __future__ import annotations

import functools
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

#: name -> value, or None for a variable that is taken away.
Changes = Mapping[str, str | None]

#: Seconds that an interpreter may take to answer.
PATIENCE = 60
#: Variables of the shell that loads the modules, which are not the modules' doing.
_SHELL_S_OWN = frozenset({"_", "SHLVL", "PWD", "OLDPWD"})
#: Variables that are meant for the interpreter that runs us, and mislead another one.
_OUR_PYTHON_S = ("PYTHONHOME", "__PYVENV_LAUNCHER__")
#: Where the two systems of modules keep what defines `module`, for shells that did not read it when they started.
_LOAD = r"""
for init in "$MODULESHOME/init/bash" "$LMOD_PKG/init/bash" /usr/share/modules/init/bash /usr/share/lmod/lmod/init/bash \
    /etc/profile.d/modules.sh /etc/profile.d/lmod.sh; do
    type module >/dev/null 2>&1 && break
    [ -r "$init" ] && . "$init" >/dev/null 2>&1
done
type module >/dev/null 2>&1 || { echo "there is no 'module' command on this machine" >&2; exit 3; }
for name in "$@"; do
    loaded=$LOADEDMODULES
    errors=$(mktemp) || exit 3
    module load "$name" 2>"$errors"
    status=$?
    cat "$errors" >&2
    grep -qi 'error' "$errors" && [ "$loaded" = "$LOADEDMODULES" ] && status=1
    rm -f "$errors"
    [ $status -eq 0 ] || { echo "$name" >&3; exit 2; }
done
env -0 >&3
"""


class EnvironmentFault(Exception):
    """An interpreter, or a module that should bring one, is not there; the text is a sentence for the user."""


@functools.cache
def load_modules(names: tuple[str, ...]) -> Changes:
    """Return what loading the environment modules changes. Raises `EnvironmentFault` for one that does not load."""
    if not names:
        return {}
    reading, writing = os.pipe()
    try:
        shell = subprocess.Popen(
            ["bash", "-c", f"exec 3>&{writing}; {_LOAD}", "bash", *names],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=[writing],
        )
    finally:
        os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    said = shell.communicate()[1].decode(errors="replace")
    if shell.returncode == 2:
        raise EnvironmentFault(f"the module {told.decode().strip()!r} cannot be loaded: {_complaint(said)}")
    if shell.returncode != 0:
        raise EnvironmentFault(f"modules cannot be loaded: {_complaint(said)}")
    return _difference(told)


def _complaint(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return next((line for line in lines if "error" in line.lower()), lines[-1] if lines else "no reason was given")


def _difference(environment: bytes) -> Changes:
    pairs = (os.fsdecode(pair).partition("=") for pair in environment.split(b"\0") if b"=" in pair)
    after = {name: value for name, _, value in pairs if name not in _SHELL_S_OWN}
    gone = {name: None for name in os.environ if name not in after and name not in _SHELL_S_OWN}
    return {**gone, **{name: value for name, value in after.items() if os.environ.get(name) != value}}


def applied(changes: Changes, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """An environment with changes made to it."""
    whole = {**environment, **changes}
    return {name: value for name, value in whole.items() if value is not None}


def words(value: str | Sequence[str] | None, separator: str | None = None) -> list[str]:
    """A keyword's value as a list: given as one, or as text, split at `separator` or as a shell splits words."""
    if value is None or isinstance(value, str):
        parts = (value or "").split(separator) if separator else shlex.split(value or "")
        return [part for part in parts if part]
    return [str(part) for part in value]


def modules(keywords: Mapping[str, Any], *further: str) -> Changes:
    """What the modules of `supp_modules` and of further keywords change, in this order."""
    names = [name for keyword in ("supp_modules", *further) for name in words(keywords.get(keyword))]
    return load_modules(tuple(names))


def python(keywords: Mapping[str, Any]) -> tuple[str, Changes]:
    """The Python for a script, and the changes to its environment. Raises `EnvironmentFault` when it is not there."""
    changes = modules(keywords, "exec_python_module")
    if keywords.get("python_bin_path"):
        return _chosen_python(Path(keywords["python_bin_path"]).expanduser(), changes)
    if keywords.get("exec_python_module"):
        found = which(("python3", "python"), changes)
        if found is None:
            raise EnvironmentFault(f"exec_python_module = {keywords['exec_python_module']} brings no Python")
        return found, {**changes, **dict.fromkeys(_OUR_PYTHON_S)}
    return sys.executable, changes


def _chosen_python(path: Path, changes: Changes) -> tuple[str, Changes]:
    """`python_bin_path`: an interpreter, the folder it is in, or the virtual or conda environment around that."""
    names = ("bin/python3", "bin/python", "python3", "python")
    candidates = [path / name for name in names] if path.is_dir() else [path]
    found = next((file for file in candidates if file.is_file() and os.access(file, os.X_OK)), None)
    if found is None:
        raise EnvironmentFault(f"there is no Python at python_bin_path = {path}")
    prefix = found.parent.parent
    search = f"{found.parent}{os.pathsep}{applied(changes).get('PATH', os.defpath)}"
    environments = {
        "VIRTUAL_ENV": str(prefix) if (prefix / "pyvenv.cfg").exists() else None,
        "CONDA_PREFIX": str(prefix) if (prefix / "conda-meta").is_dir() else None,
    }
    return str(found), {**changes, **environments, **dict.fromkeys(_OUR_PYTHON_S), "PATH": search}


def answer(words: Sequence[str], changes: Changes) -> subprocess.CompletedProcess[str] | None:
    """Ask an interpreter something, in the environment after the changes; None when it does not start or answer."""
    try:
        return subprocess.run(
            words, capture_output=True, text=True, errors="replace", timeout=PATIENCE, stdin=subprocess.DEVNULL,
            env=applied(changes),
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None


def said(words: Sequence[str], changes: Changes) -> str:
    """What a program prints, or what it complains of when it fails; nothing when it does not start or answer."""
    told = answer(words, changes)
    return "" if told is None else told.stdout or (told.stderr if told.returncode else "")


def which(names: Sequence[str], changes: Changes) -> str | None:
    """The first of these programs that is on PATH after the changes."""
    search = applied(changes).get("PATH", os.defpath)
    return next((found for name in names if (found := shutil.which(name, path=search))), None)
