"""From a checked input to an experiment: the frozen specification, the snapshot of the code, and the next X-number.

`experiment.json` is written once, in a folder beside, which gets its number by one rename: it appears whole.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import hpo
from hpo import space as spaces
from hpo.disk import hash_of, replace_link, sync_folder, write_new
from hpo.errors import cannot_write
from hpo.experiment import FORMAT, Experiment, home, next_number
from hpo.inputfile import InputFile
from hpo.script import Script
from hpo.search.plan import Search


def create(inputfile: InputFile, script: Script, files: Iterable[Path], search: Search) -> Experiment:
    """Freeze an input into a new experiment under the next X-number.

    files: the script and its local modules, to be copied into `code/`. search: the plan. Raises `StorageError` when the
    folder cannot be written; then no number was taken.
    """
    where = home()
    building = where / f".new-{secrets.token_hex(6)}"
    try:
        building.mkdir(parents=True)
        _fill(Experiment(building), inputfile, script, files, search)
        experiment = _number(where, building)
    except OSError as error:
        raise cannot_write(error.filename or where, error) from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
    _point_last(where, experiment.name)
    return experiment


def _fill(experiment: Experiment, inputfile: InputFile, script: Script, files: Iterable[Path], search: Search) -> None:
    for folder in ("workers", "claims", "journal", "control", "logs", "scratch", "run/.attempts", "code"):
        (experiment.folder / folder).mkdir(parents=True)
    snapshot = _snapshot(experiment.code, files)
    _write_rerun(experiment.folder / "rerun.sh")
    write_new(experiment.folder / _free_name(experiment, inputfile.path.name), inputfile.text)
    if search.warm_start is not None:
        lines = (json.dumps(told.to_json()) + "\n" for told in search.warm_start.trials)
        write_new(experiment.warm_file, "".join(lines).encode())
    if isinstance(inputfile.space, spaces.Rows):
        write_new(experiment.rows_file, inputfile.space.data)
    specification = {
        "format": FORMAT,
        "created": time.time(),
        "input": str(inputfile.path),
        "submit_dir": str(Path.cwd()),
        "control": inputfile.control,
        "given": dict(inputfile.given),
        "defaults": inputfile.defaults,
        "space": inputfile.space.to_json(),
        "seed": _seed(inputfile),
        **search.to_json(),
        "script": script.to_json(snapshot),
        "versions": {"hpo": hpo.__version__, "python": sys.version.split()[0]},
        "host": socket.gethostname(),
        "git": _git_commit(script.path.parent),
        "hashes": {str(path): hash_of(path) for path in [inputfile.path, *snapshot]},
    }
    write_new(experiment.specification_file, json.dumps(specification, indent=1, default=str).encode())


#: What comes into the folder after the input file.
_LATER = ("experiment.json", "rows.jsonl", "warm_start.jsonl", "rerun", "jobs", "submit.sbatch")


def _free_name(experiment: Experiment, name: str) -> str:
    """The input file's own name, unless the folder needs it."""
    return name if name not in {*os.listdir(experiment.folder), *_LATER} else f"{name}.in"


def _write_rerun(file: Path) -> None:
    """The script that every attempt's folder links to."""
    python = shlex.quote(sys.executable)
    file.write_text(
        "#!/bin/sh\n"
        "# Runs this trial again, from the experiment's own copy of the code, in a fresh folder, and compares the\n"
        "# value. Options, such as --pdb, are passed on.\n"
        'folder=$(cd "$(dirname "$0")" && pwd -P) || exit\n'
        'attempt=$(basename "$folder")\n'
        f'exec {python} -P -m hpo.cli rerun "$folder/../../.." "${{attempt%.*}}" "$@"\n'
    )
    file.chmod(0o755)


def _seed(inputfile: InputFile) -> int:
    given = inputfile.control.get("seed")
    return int(given) if given is not None else secrets.randbits(31)


def _snapshot(code: Path, files: Iterable[Path]) -> dict[Path, str]:
    """Copy the files into `code`, by their paths below their common folder; return original -> copy's path there."""
    originals = [path.absolute() for path in files]
    if not originals:
        return {}
    root = Path(os.path.commonpath([path.parent for path in originals]))
    copies = {path: str(path.relative_to(root)) for path in originals}
    for path, copy in copies.items():
        (code / copy).parent.mkdir(parents=True, exist_ok=True)
        write_new(code / copy, path.read_bytes())
        shutil.copymode(path, code / copy)
    return copies


def _git_commit(folder: Path) -> str | None:
    """The commit that the script's folder is at, with "+" when it has changes; None when it is not in a repository."""
    git = ["git", "-C", str(folder)]
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        options: dict[str, Any] = {"capture_output": True, "text": True, "timeout": 5, "check": True}
        commit: str = subprocess.run([*git, "rev-parse", "HEAD"], **options).stdout.strip()
        changed = subprocess.run([*git, "status", "--porcelain", "-uno"], **options).stdout.strip()
        return commit + ("+" if changed else "")
    return None


def _number(where: Path, building: Path) -> Experiment:
    """Give the finished folder the next free number, by a rename that fails when somebody was faster."""
    sync_folder(building)
    number = next_number()
    while True:
        target = where / f"X{number:03d}"
        try:
            building.rename(target)
        except OSError:
            if not target.exists():
                raise
            number += 1
        else:
            sync_folder(where)
            return Experiment(target)


def _point_last(where: Path, name: str) -> None:
    with contextlib.suppress(OSError):  # a convenience: somebody's own folder of that name stays
        replace_link(where / "last", name)
