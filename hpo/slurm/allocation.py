"""Inside an allocation of the user's own (an sbatch script, salloc): the workers are steps of it, on whatever node."""

from __future__ import annotations

import functools
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hpo.errors import SchedulerError
from hpo.slurm import commands, request
from hpo.slurm.queue import seconds
from hpo.slurm.request import read_megabytes

#: The step in which salloc runs a shell on the first node, where a site has it do so: it has no resources of its own.
_INTERACTIVE = "4294967290"
#: What an allocation was asked for, and srun would take for what a step asks for.
_DEFAULTS = tuple(
    f"SLURM_{name}"
    for name in ("CPUS_PER_GPU", "CPUS_PER_TASK", "EXCLUSIVE", "GPUS", "GPUS_PER_NODE", "GPUS_PER_SOCKET",
                 "GPUS_PER_TASK", "MEM_PER_CPU", "MEM_PER_GPU", "MEM_PER_NODE", "NPROCS", "NTASKS", "NTASKS_PER_GPU",
                 "NTASKS_PER_NODE", "TRES_PER_TASK")
)  # fmt: skip


#: The first version of Slurm whose srun has --exact.
_EXACT_SINCE = (20, 11)


@dataclass(frozen=True, slots=True)
class Allocation:
    """How workers begin here. share: how many of them share a step, and with it its GPUs.

    job: its number. cpus: of each worker. memory: megabytes of each, 0 when nothing is known. gpus: of a step.
    end: as a Unix time, or None.
    """

    job: str
    share: int
    cpus: int
    memory: int
    gpus: int
    end: float | None

    def step(self, workers: int, *, tied: bool) -> list[str]:
        """The command that begins `workers` workers as one step. tied: whether they end with this process.

        Without `_exactly` and the memory said, Slurm would give all to the first step and run them one after the other;
        without --wait=0 some sites end the others of a step soon after the first has ended. An allocation that began
        with --export=NONE would have srun keep modules and PATH from a step, too.
        """
        options = ["--quiet", _exactly(), "--wait=0", "--export=ALL", "--nodes=1", f"--ntasks={workers}"]
        options.append(f"--cpus-per-task={self.cpus}")
        if self.memory:
            options.append(f"--mem={self.memory * workers}M")
        # A step that says nothing of GPUs (or of other resources of that kind) has all of them.
        options.append(f"--gres=gpu:{self.gpus}" if self.gpus else "--gres=none")
        forget = (word for name in _DEFAULTS for word in ("-u", name))
        return [*(_dies_with_parent() if tied else []), "env", *forget, "srun", *options, *self._with_end()]

    @property
    def waiting(self) -> str:
        """What may keep a step from beginning."""
        memory = f" and {self.memory / 1000:g} GB" if self.memory else ""
        needs = f"{self.cpus} CPU{'s' if self.cpus > 1 else ''}{memory}{' and a GPU' if self.gpus else ''}"
        return f"'squeue --steps -j {self.job}' shows what else runs in this allocation; each worker needs {needs}"

    def _with_end(self) -> list[str]:
        """Let the workers know when the allocation ends."""
        return [] if self.end is None else ["env", f"HPO_END_TIME={self.end:.0f}"]


def here(control: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> Allocation | None:
    """The allocation in which this process runs; None outside of one, and inside one of its steps.

    Raises `SchedulerError` when Slurm does not answer.
    """
    job = _job(environ)
    if job is None:
        return None
    cpus = _cpus(control)
    gres, _, left = commands.ask("squeue", "-h", "-j", job, "-o", "%b|%L").strip().partition("|")
    there = "gpu" in gres or any(name.startswith(("SLURM_GPUS", "SLURM_JOB_GPUS")) for name in environ)
    with_gpus = there and (control["worker_type"] or "").casefold() != "cpu"
    return Allocation(
        job=job,
        share=int(control["workers_per_gpu"] or 1) if with_gpus else 1,
        cpus=cpus,
        memory=_memory(control, job, cpus, environ),
        gpus=int(control["gpus_per_trial"] or 1) if with_gpus else 0,
        end=None if (still := seconds(left)) is None else time.time() + still,
    )


def excesses(
    control: Mapping[str, Any], *, whole: bool = False, environ: Mapping[str, str] = os.environ
) -> Iterator[tuple[str, str]]:
    """Yield what no node of this process's allocation has for one worker: the keyword that says it, and why.

    For want of memory srun may wait for ever. whole: what a job would be asked for, and not what one worker is.
    Raises `SchedulerError` when Slurm does not answer.
    """
    if (job := _job(environ)) is None:
        return
    has = "is more than a node of this allocation has"
    cpus, there = request.cpus(control) if whole else _cpus(control), _cpus_of_node(environ)
    if there and cpus > there:
        name = "cpus_per_task" if control["cpus_per_task"] else "nthreads"
        yield name, f"{name} = {control[name]} {has}, {there}: ask for more there, or for fewer here"
        return
    asked = (control["mem_per_cpu"] or 0) * 1000 * cpus
    if whole:
        asked = request.megabytes(control) or 0
    if asked and (memory := _memory_of_node(job, there, environ)) and asked > memory:
        name = "mem_per_cpu" if control["mem_per_cpu"] else "mem_per_node"
        each = f" for each of {cpus} CPUs" if name == "mem_per_cpu" and cpus > 1 else ""
        wanted = f"{name} = {control[name]:g} GB{each}" if control[name] else f"{asked / 1000:g} GB"
        yield name, f"{wanted} {has}, {memory / 1000:g} GB: ask for more there, or for less here"


def in_step(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether this process runs in a step of a job, which has what a further step would wait for."""
    return environ.get("SLURM_STEP_ID", _INTERACTIVE) != _INTERACTIVE


def without_requests(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables `environ`, without those by which an allocation says to srun what each of its steps asks for."""
    inside = "SLURM_JOB_ID" in environ
    return {name: value for name, value in environ.items() if not (inside and name in _DEFAULTS)}


def devices(control: Mapping[str, Any], slot: int, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables by which the worker in `slot` (from 0) has GPUs of its own within a step that has several."""
    there = [device for device in environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if device]
    each = int(control["gpus_per_trial"] or 1)
    if "SLURM_STEP_ID" not in environ or len(there) <= each:
        return {}
    first = slot // int(control["workers_per_gpu"] or 1) % (len(there) // each) * each
    return {"CUDA_VISIBLE_DEVICES": ",".join(there[first : first + each])}


def _memory(control: Mapping[str, Any], job: str, cpus: int, environ: Mapping[str, str]) -> int:
    """Megabytes of a worker: what the file says, else its CPUs' share of the node; 0 when nothing is known."""
    if control["mem_per_cpu"]:
        return int(control["mem_per_cpu"] * 1000) * cpus
    if per_cpu := _asked("SLURM_MEM_PER_CPU", environ):
        return int(per_cpu) * cpus
    whole, there = _asked("SLURM_MEM_PER_NODE", environ), _cpus_of_node(environ)
    if not whole:
        return int(_memory_per_cpu(job) * cpus)
    return int(whole * cpus / there if there >= cpus else whole)


def _asked(variable: str, environ: Mapping[str, str]) -> float:
    """Megabytes that the allocation was asked for, as a variable tells; 0 for none, and for all that a node has."""
    return read_megabytes(environ.get(variable, "")) or 0.0


def _memory_per_cpu(job: str) -> float:
    """Megabytes for each CPU of the allocation, on the node that has the least; 0 when nothing is known."""
    return min((memory / cpus for cpus, memory in _nodes(job)), default=0.0)


def _nodes(job: str) -> list[tuple[int, float]]:
    """CPUs and megabytes that the allocation has on each of its nodes, or on each kind of them.

    All memory of a node (--mem=0, and --exclusive at some sites), and what is a site's default, is in no variable.
    """
    shown = commands.ask("scontrol", "--details", "show", "job", job)
    found = re.findall(r"\bCPU_IDs=([\d,-]+) Mem=(\d+)", shown)
    return [(sum(map(_count, ids.split(","))), float(memory)) for ids, memory in found]


def _count(ids: str) -> int:
    """How many there are: 4 of ``0-3``."""
    first, _, last = ids.partition("-")
    return int(last or first) - int(first) + 1


def _job(environ: Mapping[str, str]) -> str | None:
    """The number of the allocation in which this process runs; None outside of one, and inside one of its steps."""
    outside = in_step(environ) or not commands.on_path("srun")
    return None if outside else environ.get("SLURM_JOB_ID") or None


def _cpus(control: Mapping[str, Any]) -> int:
    """The CPUs of a worker."""
    return int(control["cpus_per_task"] or control["nthreads"])


def _cpus_of_node(environ: Mapping[str, str]) -> int:
    """The most CPUs that the allocation has on a node: 4 of ``4(x2),3``; 0 when nothing is known."""
    counts = re.findall(r"(\d+)(?:\(x\d+\))?(?:,|$)", environ.get("SLURM_JOB_CPUS_PER_NODE", ""))
    return max(map(int, counts), default=0)


def _memory_of_node(job: str, cpus: int, environ: Mapping[str, str]) -> float:
    """Megabytes that the allocation has on its node with the most CPUs; 0 when nothing is known."""
    if whole := _asked("SLURM_MEM_PER_NODE", environ):
        return whole
    if per_cpu := _asked("SLURM_MEM_PER_CPU", environ):
        return per_cpu * cpus
    return max(_nodes(job), default=(0, 0.0))[1]


@functools.cache
def _exactly() -> str:
    """The option by which a step has the CPUs that it asks for and leaves the others to other steps."""
    try:
        found = re.search(r"(\d+)\.(\d+)", commands.ask("srun", "--version"))
    except SchedulerError:
        found = None
    return "--exclusive" if found and (int(found[1]), int(found[2])) < _EXACT_SINCE else "--exact"


def _dies_with_parent() -> list[str]:
    """srun is not ours, and a worker's parent is a daemon of Slurm: the kernel tells srun when we are killed."""
    return ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
