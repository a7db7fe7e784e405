"""Slurm's commands, run with patience and without the settings of the user's own that would change their answers."""

from __future__ import annotations

import os
import shutil
import subprocess

from hpo.errors import SchedulerError

#: Seconds for an answer. A slurmctld that is gone makes its commands wait for up to 20 s; sbatch retries for longer.
PATIENCE = 40.0
PATIENCE_TO_SUBMIT = 180.0
#: What would hide jobs from squeue, or change the form of what it prints.
_PRESENTATION = ("SQUEUE_", "SINFO_", "SLURM_TIME_FORMAT", "SLURM_JSON", "SLURM_YAML")


def ask(*command: str, patience: float | None = None) -> str:
    """Return what a command prints. Raises `SchedulerError` when it is not there, fails, or does not answer in time."""
    patience = PATIENCE if patience is None else patience
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=patience,
            env={name: value for name, value in os.environ.items() if not name.startswith(_PRESENTATION)},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SchedulerError(f"{command[0]} did not answer within {patience:g} s") from None
    except OSError as error:
        raise SchedulerError(f"{command[0]} cannot be run: {error.strerror}") from None
    if done.returncode:
        raise SchedulerError(f"{command[0]}: {last_error(done.stderr) or f'it ended with {done.returncode}'}")
    return done.stdout


def last_error(text: str) -> str:
    """The last line of what a command complained of, without its own name."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    words = lines[-1] if lines else ""
    for prefix in ("error: ", "fatal: "):
        words = words.rpartition(prefix)[2]
    return words


def on_path(command: str) -> bool:
    """Whether there is such a command."""
    return shutil.which(command) is not None
