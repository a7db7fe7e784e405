"""Slurm's commands, run with patience and without the settings of the user's own that would change their answers."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Sequence

from hpo.errors import SchedulerError

#: Seconds for an answer. A slurmctld that is gone makes its commands wait for up to 20 s; sbatch retries for longer.
PATIENCE = 40.0
PATIENCE_TO_SUBMIT = 180.0
#: Variables that would hide jobs from squeue or scancel, change the form of what is printed, have scancel ask back, or
#: ask another cluster.
_PRESENTATION = (
    "SQUEUE_", "SINFO_", "SACCT_", "SCANCEL_", "SCONTROL_", "SLURM_TIME_FORMAT", "SLURM_BITSTR_LEN", "SLURM_JSON",
    "SLURM_YAML", "SLURM_CLUSTERS", "SBATCH_CLUSTERS",
)  # fmt: skip
#: sbatch's variables that stand for an option which users choose; hpo.slurm.variables writes them into the script.
SBATCH_OPTIONS = {
    "SBATCH_ACCOUNT": "account",
    "SBATCH_CONSTRAINT": "constraint",
    "SBATCH_CORE_SPEC": "core-spec",
    "SBATCH_CPUS_PER_GPU": "cpus-per-gpu",
    "SBATCH_DISTRIBUTION": "distribution",
    "SBATCH_EXCLUSIVE": "exclusive",
    "SBATCH_EXPORT": "export",
    "SBATCH_GPU_BIND": "gpu-bind",
    "SBATCH_GPU_FREQ": "gpu-freq",
    "SBATCH_GPUS": "gpus",
    "SBATCH_GPUS_PER_NODE": "gpus-per-node",
    "SBATCH_GPUS_PER_TASK": "gpus-per-task",
    "SBATCH_GRES": "gres",
    "SBATCH_GRES_FLAGS": "gres-flags",
    "SBATCH_HINT": "hint",
    "SLURM_HINT": "hint",
    "SBATCH_MEM_BIND": "mem-bind",
    "SBATCH_MEM_PER_CPU": "mem-per-cpu",
    "SBATCH_MEM_PER_GPU": "mem-per-gpu",
    "SBATCH_MEM_PER_NODE": "mem",
    "SBATCH_NETWORK": "network",
    "SBATCH_PARTITION": "partition",
    "SBATCH_PROFILE": "profile",
    "SBATCH_QOS": "qos",
    "SBATCH_RESERVATION": "reservation",
    "SBATCH_THREAD_SPEC": "thread-spec",
    "SBATCH_THREADS_PER_CORE": "threads-per-core",
    "SBATCH_TIMELIMIT": "time",
    "SBATCH_WCKEY": "wckey",
}
#: Those that would undo a line of the script, or keep sbatch from returning.
_UNDOING = frozenset(
    f"SBATCH_{name}"
    for name in ("ARRAY_INX", "DEBUG", "ERROR", "INPUT", "JOB_NAME", "NO_REQUEUE", "OPEN_MODE", "OUTPUT", "REQUEUE",
                 "SIGNAL", "WAIT")
)  # fmt: skip

#: Variables of the job in which we run that one submitted from it would inherit, where Slurm sets none of its own.
_OF_THIS_JOB = frozenset({"SLURM_RESTART_COUNT", "SLURM_JOB_START_TIME", "SLURM_JOB_END_TIME"})

#: What a line of a complaint begins with.
_PREFIX = re.compile(r"^(\w+: )?((error|fatal|allocation failure): )*")


class Refusal(SchedulerError):
    """A command that failed. errors: every line of what it complained of, without its own name."""

    def __init__(self, message: str, errors: list[str]) -> None:
        super().__init__(message)
        self.errors = errors


def ask(*command: str, patience: float | None = None, text: str = "") -> str:
    """Return what a command prints. text: what it reads.

    Raises `SchedulerError` when it is not there or does not answer in time, and `Refusal` when it fails.
    """
    return _answer(command, PATIENCE if patience is None else patience, text)[0]


def submit(*command: str) -> tuple[str, str]:
    """Return what sbatch prints, and what it complains of though it takes the job. Raises as `ask`.

    It has a session of its own: the Ctrl-C that ends a command here does not reach it on its way to slurmctld.
    """
    return _answer(command, PATIENCE_TO_SUBMIT, "", apart=True)


def _answer(command: Sequence[str], patience: float, text: str, *, apart: bool = False) -> tuple[str, str]:
    try:
        status, out, errors = _run(command, patience, text, apart=apart)
    except subprocess.TimeoutExpired as waited:
        said = last_error((waited.stderr or b"").decode(errors="replace"))
        raise SchedulerError(f"{command[0]} did not answer within {patience:g} s{said and ': '}{said}") from None
    except OSError as error:
        raise SchedulerError(f"{command[0]} cannot be run: {error.strerror}") from None
    if status:
        words = last_error(errors) or f"it ended with {status}"
        raise Refusal(f"{command[0]}: {words}", _errors(errors))
    return out, errors


def _run(command: Sequence[str], patience: float, text: str, *, apart: bool) -> tuple[int, str, str]:
    """Run a command in a session of its own, if it is `apart`: then all that it began ends with it, too."""
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=_environment(),
        start_new_session=apart,
    ) as process:
        try:
            out, errors = process.communicate(text, timeout=patience)
        except BaseException:
            if apart:  # sbatch may be a site's own script, which has begun the real one
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            raise
    return process.returncode, out, errors


def _environment() -> dict[str, str]:
    hidden = _UNDOING | _OF_THIS_JOB | SBATCH_OPTIONS.keys()
    shown = ((name, value) for name, value in os.environ.items() if not name.startswith(_PRESENTATION))
    return {name: value for name, value in shown if name not in hidden}


def last_error(text: str) -> str:
    """The last line of what a command complained of, without its own name; in brackets the errors before it.

    sbatch says which limit it is ("QOSMaxSubmitJobPerUserLimit"), and what a site's own plugin says, on lines before.
    """
    *before, last = _errors(text) or [""]
    causes = "; ".join(dict.fromkeys(line for line in before if line != last))
    return f"{last} ({causes[:300]})" if causes else last


def _errors(text: str) -> list[str]:
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith('Try "')]
    return [_PREFIX.sub("", line) for line in lines if line is lines[-1] or "error: " in line]


def on_path(command: str) -> bool:
    """Whether there is such a command."""
    return shutil.which(command) is not None
