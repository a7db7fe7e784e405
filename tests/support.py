"""What many tests use: the command as a user runs it, and small experiments."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hpo.experiment import Experiment
from hpo.results.view import View

COMMAND = [sys.executable, "-P", "-m", "hpo.cli"]

#: A script of the recommended form, without any import.
SQUARE = "def run(hyperparams):\n    return (hyperparams['x'] - 3) ** 2\n"

#: Trials from x = 2 on wait at a gate: what a test does to them meets them while they run, whoever is faster.
GATED = """
import os, time

def run(hyperparams):
    gate = os.path.join(os.environ["HPO_INPUT_DIR"], "gate")
    while hyperparams["x"] >= 2 and not os.path.exists(gate):
        time.sleep(0.05)
    return hyperparams["x"] * 2.0
"""


def open_gate(folder: Path) -> None:
    """Let the trials of `GATED` in `folder` go on, and those that are still to come."""
    (folder / "gate").touch()


def environment(**more: str) -> dict[str, str]:
    """The environment of a command under test: of our variables only `more`, and workers on this machine."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HPO_")}
    return {**inherited, "HPO_EXECUTOR": "local", **more}


def hpo(*words: str, cwd: Path, timeout: float = 300, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(
        [*COMMAND, *words], cwd=cwd, env=environment(**variables), capture_output=True, text=True, timeout=timeout
    )


def start_hpo(*words: str, cwd: Path, **variables: str) -> subprocess.Popen[str]:
    """Begin a command and go on."""
    return subprocess.Popen(
        [*COMMAND, *words],
        cwd=cwd,
        env=environment(**variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )


def write_input(folder: Path, script: str, space: str, control: str = "", defaults: str = "") -> Path:
    """Put `model.py` and `model.in` into `folder`; return the input file."""
    (folder / "model.py").write_text(script)
    file = folder / "model.in"
    file.write_text(
        f"&control\n  model_script = model.py\n  workflow = grid\n{control}\n/\n"
        f"&default_model\n{defaults}\n/\n&param_space\n{space}\n/\n"
    )
    return file


def status(cwd: Path, *words: str) -> dict[str, Any]:
    """`hpo status --json`."""
    done = hpo("status", *words, "--json", cwd=cwd)
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def trial(cwd: Path, name: str) -> dict[str, Any]:
    """`hpo show NAME --json`."""
    done = hpo("show", name, "--json", cwd=cwd)
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@functools.cache
def _has_r() -> bool:
    command = ["Rscript", "-e", "library(jsonlite)"]
    return shutil.which("Rscript") is not None and subprocess.run(command, capture_output=True).returncode == 0


def need_r(file: Path) -> None:
    """Skip the test of an input file whose script is in R, where R cannot run it."""
    if re.search(r"model_script\s*=\s*\S+\.R\b", file.read_text()) and not _has_r():
        pytest.skip("R or its package jsonlite is not installed")


def wait_for(condition: Callable[[], object], seconds: float = 120) -> None:
    """Return when `condition` holds; fail when it does not within `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def wait_for_no_worker(folder: Path) -> None:
    """Return when none of the last experiment's workers lives.

    The kernel kills them with who started them, but one that waits for the disk only when the disk has answered.
    """
    experiment = Experiment(folder / "experiments" / "last")
    wait_for(lambda: all(worker["state"] != "alive" for worker in View(experiment).workers()))


def processes_with(text: str) -> list[int]:
    """The pids of living processes whose environment or command line holds `text`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                seen = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
                zombie = (entry / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
            except OSError:
                continue
            if text.encode() in seen and not zombie:
                found.append(int(entry.name))
    return found
