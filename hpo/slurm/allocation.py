"""Inside an allocation of the user's own (an sbatch script, salloc): each worker is a step of it, on whatever node."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Mapping
from typing import Any

from hpo.slurm import commands
from hpo.slurm.queue import seconds


def step(control: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> list[str]:
    """The command that begins one worker as a step; empty outside an allocation, and inside one of its steps.

    Without --exact and the memory said, Slurm would give all to the first step and run them one after the other.
    Raises `SchedulerError` when Slurm does not answer.
    """
    job = environ.get("SLURM_JOB_ID")
    if not job or "SLURM_STEP_ID" in environ or not commands.on_path("srun"):
        return []
    cpus = int(control["cpus_per_task"] or control["nthreads"])
    gres, _, left = commands.ask("squeue", "-h", "-j", job, "-o", "%b|%L").strip().partition("|")
    options = ["--quiet", "--exact", "--nodes=1", "--ntasks=1", f"--cpus-per-task={cpus}"]
    if memory := _memory(control, cpus, environ):
        options.append(f"--mem={memory}M")
    if "gpu" in gres:
        options.append(f"--gres=gpu:{int(control['gpus_per_trial'] or 1)}")
    return [*_dies_with_parent(), "srun", *options, *_with_end(seconds(left))]


def _memory(control: Mapping[str, Any], cpus: int, environ: Mapping[str, str]) -> int:
    """Megabytes of a worker: what the file says, else its CPUs' share of the node; 0 when nothing is known."""
    if control["mem_per_cpu"]:
        return int(control["mem_per_cpu"] * 1000) * cpus
    if per_cpu := environ.get("SLURM_MEM_PER_CPU"):
        return int(per_cpu) * cpus
    whole, there = int(environ.get("SLURM_MEM_PER_NODE") or 0), _cpus_of_node(environ)
    return whole * cpus // there if there >= cpus else whole


def _cpus_of_node(environ: Mapping[str, str]) -> int:
    """The CPUs that the allocation has on its first node: 4 of ``4(x2),3``."""
    found = re.match(r"\d+", environ.get("SLURM_JOB_CPUS_PER_NODE", ""))
    return int(found[0]) if found else 0


def _dies_with_parent() -> list[str]:
    """srun is not ours, and a worker's parent is a daemon of Slurm: the kernel tells srun when we are killed."""
    return ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []


def _with_end(left: int | None) -> list[str]:
    """Let the worker know when the allocation ends."""
    return [] if left is None else ["env", f"HPO_END_TIME={time.time() + left:.0f}"]
