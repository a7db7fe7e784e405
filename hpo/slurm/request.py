"""What is asked of Slurm: from the keywords of &control to options of sbatch and srun, and to job arrays."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hpo.slurm.queue import index_list, seconds

#: The short options of sbatch that we have to recognise.
_SHORT = {
    "a": "array", "A": "account", "c": "cpus-per-task", "d": "dependency", "D": "chdir", "e": "error", "M": "clusters",
    "n": "ntasks", "N": "nodes", "o": "output", "p": "partition", "t": "time", "W": "wait",
}  # fmt: skip
#: What custom_sbatch_args cannot have, and why.
_OURS = {
    "array": "the array is made from nworkers",
    "wait": "use 'hpo submit-job --wait'",
    "wrap": "the script is made by hpo",
    "parsable": "use 'hpo submit-job --parsable'",
    "test-only": "use 'hpo submit-job --dry-run'",
    "clusters": "submit from a login node of that cluster",
    "output": "what a job prints is kept in the experiment's folder, in logs/",
    "error": "what a job prints is kept in the experiment's folder, in logs/",
    "ntasks": "each job of the array has one task: use cpus_per_task",
    "chdir": "each trial runs in a folder of its own",
    "signal": "the workers have a warning of their own, by which a job ends in time and goes on",
}
#: Options that a keyword stands for.
KEYWORDS = {
    "time": "walltime",
    "partition": "queue",
    "account": "project",
    "cpus-per-task": "cpus_per_task",
    "mem-per-cpu": "mem_per_cpu",
    "mem": "mem_per_node",
    "mail-user": "mail",
}
MEMORY = ("mem", "mem-per-cpu", "mem-per-gpu")
CPUS = ("cpus-per-task", "cpus-per-gpu")
#: Seconds before the end of a job at which Slurm warns it; it may come a minute early, and the worker knows its end.
WARNING = 120


@dataclass(frozen=True, slots=True)
class Custom:
    """custom_sbatch_args, as words. ValueError when its quotes do not close."""

    words: tuple[str, ...]

    @staticmethod
    def of(control: Mapping[str, Any]) -> Custom:
        """That of an input file."""
        return Custom(tuple(shlex.split(control.get("custom_sbatch_args") or "")))

    def options(self) -> Iterator[tuple[str, str, int]]:
        """Each option: its long name, its value ("" when there is none), and where it stands."""
        for place, word in enumerate(self.words):
            if word.startswith("--"):
                name, equals, value = word[2:].partition("=")
                yield name, value if equals else self._next(place), place
            elif word.startswith("-") and len(word) > 1:
                yield _SHORT.get(word[1], word[1]), word[2:] or self._next(place), place

    def _next(self, place: int) -> str:
        following = self.words[place + 1 : place + 2]
        return following[0] if following and not following[0].startswith("-") else ""

    def names(self) -> set[str]:
        """The long names of the options."""
        return {name for name, _, _ in self.options()}

    def value(self, wanted: str) -> str:
        """The value of an option, "" when it is not given."""
        return next((value for name, value, _ in self.options() if name == wanted), "")

    def without(self, unwanted: str) -> tuple[str, ...]:
        """The words without an option and its value."""
        gone: set[int] = set()
        for name, value, place in self.options():
            if name == unwanted:
                apart = value and not self.words[place].endswith(value)
                gone |= {place, place + 1} if apart else {place}
        return tuple(word for place, word in enumerate(self.words) if place not in gone)


def mistakes(control: Mapping[str, Any], given: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield what cannot be asked for: the keyword that says it, and why."""
    try:
        custom = Custom.of(control)
    except ValueError as error:
        yield "custom_sbatch_args", f"custom_sbatch_args cannot be read: {str(error).lower()}"
        return
    names = custom.names()
    for name in sorted(names & _OURS.keys()):
        yield "custom_sbatch_args", f"custom_sbatch_args cannot have --{name}: {_OURS[name]}"
    if names & {"nodes"} and custom.value("nodes") not in ("1", "1-1"):
        yield "custom_sbatch_args", "custom_sbatch_args cannot have --nodes: a worker runs its trials on one node"
    for option, keyword in KEYWORDS.items():
        if option in names and keyword in given:
            yield "custom_sbatch_args", f"{keyword} and --{option} in custom_sbatch_args are the same: give one of them"
    forms = [f"--{name}" for name in MEMORY if name in names]
    forms += [keyword for keyword in ("mem_per_cpu", "mem_per_node") if keyword in given]
    if names & {*MEMORY} and len(forms) > 1 and not any(KEYWORDS.get(form[2:]) in forms for form in forms):
        yield "custom_sbatch_args", f"give one form of the memory, not {' and '.join(forms)}"
    if control["array"] == "trials" and control["workers_per_gpu"]:
        yield "workers_per_gpu", "workers_per_gpu needs array = workers: with trials, each trial has a job of its own"
    if control["array"] == "trials" and control["workflow"] != "grid":
        yield "array", f"array = trials needs workflow = grid: the trials of {control['workflow']} are not known before"


def gpu_type(control: Mapping[str, Any]) -> str | None:
    """The type of GPU that is asked for; "" for any, None for none."""
    for words in _gpus_of(Custom.of(control).value("gres")):
        return words[1] if len(words) > 1 and not words[1].isdigit() else ""
    kind = control["worker_type"]
    if kind is None:
        return "" if control["gpus_per_trial"] or control["workers_per_gpu"] else None
    return None if kind.casefold() == "cpu" else str(kind)


def walltime(control: Mapping[str, Any]) -> int | None:
    """The seconds that a job may run; None when custom_sbatch_args has a form that only Slurm knows."""
    given = Custom.of(control).value("time")
    return seconds(given) if given else int(control["walltime"])


def gpus(control: Mapping[str, Any]) -> int:
    """How many GPUs a task asks for, if it asks for any."""
    for words in _gpus_of(Custom.of(control).value("gres")):
        return int(words[-1]) if words[-1].isdigit() else 1
    return int(control["gpus_per_trial"] or 1)


def cpus(control: Mapping[str, Any]) -> int:
    """The CPUs of a task."""
    custom = Custom.of(control)
    given, each = custom.value("cpus-per-task"), custom.value("cpus-per-gpu")
    if given.isdigit():
        return int(given)
    if each.isdigit() and not control["cpus_per_task"]:
        return int(each) * (1 if gpu_type(control) is None else gpus(control))
    return int(control["cpus_per_task"] or control["nthreads"]) * workers_per_task(control)


def megabytes(control: Mapping[str, Any]) -> float | None:
    """The memory of a task; None when that is left to Slurm."""
    custom = Custom.of(control)
    each, whole = read_megabytes(custom.value("mem-per-cpu")), read_megabytes(custom.value("mem"))
    if control["mem_per_cpu"] and not custom.names() & {*MEMORY}:
        each = control["mem_per_cpu"] * 1000
    if control["mem_per_node"] and not custom.names() & {*MEMORY}:
        whole = control["mem_per_node"] * 1000
    return each * cpus(control) if each else whole


def read_megabytes(text: str) -> float | None:
    """Read memory as sbatch takes it, and scontrol shows it: 4000, 4000M, 4G, 1.50T."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)B?", text, re.I)
    return float(found[1]) * 1024.0 ** ("KMGT".find(found[2].upper() or "M") - 1) if found else None


def _gpus_of(gres: str) -> list[list[str]]:
    """The words of those parts of --gres that ask for GPUs: ``gpu:k80:2``."""
    return [words for part in gres.split(",") if (words := part.split(":"))[0] == "gpu"]


def workers_per_task(control: Mapping[str, Any]) -> int:
    """How many workers run in one task of an array."""
    return int(control["workers_per_gpu"] or 1)


def resources(control: Mapping[str, Any]) -> list[str]:
    """The options of sbatch (and srun) for one task: time, CPUs, memory, GPUs, partition, account, the user's own."""
    custom = Custom.of(control)
    ours = {
        "time": clock(control["walltime"]),
        "cpus-per-task": str(cpus(control)),
        "partition": control["queue"],
        "account": control["project"],
        "mem-per-cpu": _megabytes(control["mem_per_cpu"]),
        "mem": _megabytes(control["mem_per_node"]),
    }
    names = custom.names()
    if "cpus-per-gpu" in names and not control["cpus_per_task"]:
        names.add("cpus-per-task")  # sbatch takes one of the two
    options = [f"--{name}={value}" for name, value in ours.items() if value and name not in names]
    gres = _gres(control, custom.value("gres"))
    return [*options, *([f"--gres={gres}"] if gres else []), *custom.without("gres")]


def dependency(control: Mapping[str, Any], before: str) -> str:
    """What an array waits for that follows another one, job `before`, beside what the user has jobs wait for.

    Conditions of which one is enough (``?``) cannot be put beside another: that job waits for them, and this for it.
    """
    theirs = Custom.of(control).value("dependency")
    return ",".join(filter(None, ("" if "?" in theirs else theirs, f"afterany:{before}")))


def _gres(control: Mapping[str, Any], custom: str) -> str:
    """Our GPUs beside what the user asks for: of two --gres, sbatch would take the last alone."""
    kind = gpu_type(control)
    asked = [part for part in custom.split(",") if part]
    if kind is not None and not _gpus_of(custom):
        asked.insert(0, ":".join(filter(None, ("gpu", kind, str(gpus(control))))))
    return ",".join(asked)


def clock(total: int) -> str:
    """Seconds as HH:MM:SS; hours may be more than 24."""
    return f"{total // 3600:02d}:{total // 60 % 60:02d}:{total % 60:02d}"


def _megabytes(gigabytes: float | None) -> str | None:
    return None if gigabytes is None else f"{max(1, round(gigabytes * 1000))}M"


@dataclass(frozen=True, slots=True)
class Array:
    """One job array. first: the trial of its task 0, where each trial has a task. at_once: tasks at a time, or 0."""

    indexes: tuple[int, ...]
    first: int = 0
    at_once: int = 0

    @property
    def option(self) -> str:
        """The value of --array."""
        limit = f"%{self.at_once}" if 0 < self.at_once < len(self.indexes) else ""
        return index_list(list(self.indexes)) + limit


def worker_arrays(tasks: int, largest: int) -> list[Array]:
    """`tasks` tasks of workers, in arrays of `largest` at most."""
    return [Array(tuple(range(min(largest, tasks - begin)))) for begin in range(0, tasks, largest)]


def trial_arrays(trials: Sequence[int], largest: int, at_once: int) -> list[Array]:
    """A task for each trial, in arrays whose indexes stay below `largest`."""
    blocks: dict[int, list[int]] = {}
    for trial in trials:
        blocks.setdefault(trial // largest, []).append(trial % largest)
    return [Array(tuple(indexes), block * largest, at_once) for block, indexes in sorted(blocks.items())]


def fitting(arrays: Sequence[Array], room: int) -> list[Array]:
    """The first `room` tasks of `arrays`."""
    found = []
    for array in arrays:
        if room > 0:
            found.append(replace(array, indexes=array.indexes[:room]))
            room -= len(array.indexes)
    return found
