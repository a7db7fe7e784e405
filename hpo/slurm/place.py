"""Where this process is, as Slurm sees it: in which job if any, and whether there is a Slurm to submit to."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field

from hpo.errors import SchedulerError, UsageError, did_you_mean
from hpo.registry import EXECUTORS
from hpo.slurm import commands
from hpo.slurm.queue import OVER


@dataclass(frozen=True, slots=True)
class Incarnation:
    """One start of one job: a requeued job has the same name and a higher count of restarts.

    task: "17_3" for a task of an array, else "17". Not SLURM_JOB_ID: that of the last task is the array's.
    node: Slurm's name for where it runs.
    """

    cluster: str
    task: str
    restart: int
    node: str = field(default="", compare=False)

    @staticmethod
    def here(environ: Mapping[str, str] = os.environ) -> Incarnation | None:
        """That in which this process runs; None outside a job."""
        job = environ.get("SLURM_JOB_ID")
        if not job:
            return None
        array, index = environ.get("SLURM_ARRAY_JOB_ID"), environ.get("SLURM_ARRAY_TASK_ID")
        count = environ.get("SLURM_RESTART_COUNT", "0")
        return Incarnation(
            cluster=environ.get("SLURM_CLUSTER_NAME", ""),
            task=f"{array}_{index}" if array and index else job,
            restart=int(count) if count.isdigit() else 0,
            node=environ.get("SLURMD_NODENAME", ""),
        )


@dataclass(frozen=True, slots=True)
class Choice:
    """The executor that `executor = auto` means here; why: a sentence for the user, empty when nothing is to say."""

    executor: str
    why: str = ""


def resolve(executor: str, environ: Mapping[str, str] = os.environ) -> Choice:
    """Return the executor meant: HPO_EXECUTOR, else Slurm where it can be submitted to, else this machine.

    Raises `UsageError` for a wrong HPO_EXECUTOR, and in the shell of a job that has ended, and `SchedulerError` where
    Slurm is there and does not answer.
    """
    if executor == "auto" and (wanted := environ.get("HPO_EXECUTOR")):
        executor = _known(wanted)
    if executor in ("auto", "local") and environ.get("SLURM_JOB_ID") and commands.on_path("sbatch"):
        refuse_ended(environ)
        return Choice("local", f"inside Slurm's job {environ['SLURM_JOB_ID']}: the workers run in this allocation")
    if executor != "auto":
        return Choice(executor)
    return _answering() if commands.on_path("sbatch") else Choice("local")


def refuse_ended(environ: Mapping[str, str] = os.environ) -> None:
    """Raises `UsageError` in the shell of an allocation that is over (a tmux begun in it), if Slurm says that it is."""
    job = environ.get("SLURM_JOB_ID")
    if not job:
        return
    try:
        states = commands.ask("squeue", "-h", "-j", job, "-o", "%T").split()
    except SchedulerError as error:
        if "invalid job id" not in str(error).casefold():
            return  # not an answer
        states = []
    if all(state in OVER for state in states):
        raise UsageError(
            f"SLURM_JOB_ID={job} is of a job that has ended: unset SLURM_JOB_ID, or take a shell outside of that job"
        )


def submits(executor: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether `executor` means jobs of Slurm here, as far as can be told without asking it."""
    if executor == "auto":
        executor = environ.get("HPO_EXECUTOR") or ("local" if environ.get("SLURM_JOB_ID") else "slurm")
        return executor == "slurm" and commands.on_path("sbatch")
    return executor == "slurm"


def _known(wanted: str) -> str:
    if wanted not in EXECUTORS:
        near = did_you_mean(wanted, EXECUTORS)
        raise UsageError(f"HPO_EXECUTOR must be one of {', '.join(EXECUTORS)}, not {wanted!r}.{near}".rstrip("."))
    return wanted


_HERE = "the workers run on this machine"


def _answering() -> Choice:
    """Slurm, if its controller answers. One that does not run on this very machine is no cluster's: passed over."""
    try:
        commands.ask("scontrol", "ping")
    except SchedulerError as error:
        if "configuration source" in str(error):
            return Choice("local", f"Slurm is installed here, but not configured: {_HERE}")
        host = controller()
        if host in _own_names():
            return Choice("local", f"Slurm is installed here, but its slurmctld does not run: {_HERE}")
        raise SchedulerError(
            f"sbatch is here, but slurmctld{f' on {host}' if host else ''} does not answer: "
            "try again later, or run on this machine with --executor local"
        ) from None
    return Choice("slurm", "the workers will be jobs of Slurm; '--executor local' runs them on this machine")


def controller() -> str:
    """The host of the first slurmctld, as the configuration on this machine names it; empty when that is not found."""
    path = os.environ.get("SLURM_CONF", "/etc/slurm/slurm.conf")
    try:
        with open(path, errors="replace") as file:
            found = re.search(r"^\s*(?:SlurmctldHost|ControlMachine)\s*=\s*([^\s(#]+)", file.read(), re.M | re.I)
    except OSError:
        return ""
    return found[1] if found else ""


def _own_names() -> set[str]:
    name = socket.gethostname()
    return {name, name.partition(".")[0], "localhost", "127.0.0.1"}
