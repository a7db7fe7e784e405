"""The &control keywords, as one table, and the reading of the section by it.

A new keyword is one row. The parser, ``hpo keywords``, ``docs/keywords.md`` and the tests all read this table.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from hpo import pruners, registry, samplers
from hpo.errors import Complaint, Complaints, did_you_mean
from hpo.inputfile import keyword_types as types
from hpo.inputfile.assignments import MAX_REFUSED, Assignment
from hpo.inputfile.expansion import expand
from hpo.inputfile.keyword_types import Type
from hpo.inputfile.values import BadValue, unquote
from hpo.slurm import place


class Use(Enum):
    """Who uses a keyword; the text is what `hpo keywords` prints."""

    ALWAYS = "every run"
    SCHEDULER = "jobs of a scheduler; a local search ignores it"
    BAYESIAN = "workflow = bayesian"
    NOTHING = "old input files; nothing depends on it"
    MISSING = "not available in this version"


@dataclass(frozen=True, slots=True)
class Keyword:
    """One row of the table.

    default: what holds when it is not given; a Python value of the keyword's type. required: it has none.
    aliases: older names that mean the same. available: of a choice, what this version can do; empty means all.
    MISSING keywords are an error before anything runs.
    """

    name: str
    type: Type
    default: Any
    help: str
    use: Use = Use.ALWAYS
    aliases: tuple[str, ...] = ()
    required: bool = False
    available: tuple[str, ...] = ()

    def shown(self, value: Any) -> str:
        """Return a value as a user would write it; "-" when there is none."""
        return "-" if value in (None, "", []) else self.type.show(value)


WORKFLOW = types.choice(*registry.WORKFLOWS, older={"upf": "grid", "mlrMBO": "bayesian"})
SAMPLER = types.choice("auto", *samplers.TABLE)
EXECUTOR = types.choice("auto", *registry.EXECUTORS, "pbs")
RUNNER = types.choice("auto", *registry.RUNNERS)
PRUNER = types.choice("none", *pruners.TABLE)


def _of_pruners(option: str, type_: Type, text: str) -> Keyword:
    """The keyword of an option of pruners: whose it is, and what holds when it is not given, stand in their table."""
    held = {name: row.options[option] for name, row in pruners.TABLE.items() if option in row.options}
    otherwise = dict.fromkeys("the most epochs" if value is None else str(value) for value in held.values())
    return Keyword(f"pruner_{option}", type_, None, f"{', '.join(held)}: {text} ({'; '.join(otherwise)})")


#: In the order in which `hpo keywords` prints them.
GROUPS: Mapping[str, tuple[Keyword, ...]] = {
    "Required": (
        Keyword("model_script", types.TEXT, None, "the script that trains the model", required=True),
        Keyword("workflow", WORKFLOW, None, "how hyperparameters are chosen", required=True),
    ),
    "Running": (
        Keyword("nworkers", types.COUNT, 1, "how many trials run at a time", aliases=("ngpus",)),
        Keyword("nthreads", types.COUNT, 1, "threads (CPU cores) of each trial"),
        Keyword("run_workflow", types.BOOLEAN, True, "0: run the defaults once, here, instead of a search",
                aliases=("use_candle",)),
        Keyword("dry_run", types.BOOLEAN, False, "1: check and show everything, start nothing"),
        Keyword("executor", EXECUTOR, "auto", "where workers run", available=("auto", *registry.EXECUTORS)),
        Keyword("seed", types.COUNT_OR_ZERO, None, "seed of the experiment; drawn and recorded when not given"),
        Keyword("isolation", types.choice("process", "none"), "process",
                "process: each trial in a process of its own; none: in the worker itself, for cheap functions"),
        Keyword("trial_timeout", types.TIMEOUT, None, "the longest that a trial may run; needs isolation = process"),
        Keyword("max_attempts", types.COUNT, 3, "how often a trial is tried when the machine fails, not the script"),
        Keyword("stop_after", types.COUNT_OR_ZERO, 3,
                "stop when the first trials, so many, all failed alike (same exception, no such objective); 0: never"),
        Keyword("max_output", types.SIZE, 100_000_000, "how much of a trial's output is kept (head and tail)"),
    ),
    "Jobs of a scheduler (a local search ignores them)": (
        Keyword("worker_type", types.TEXT, None, "kind of node or GPU: cpu, k80, p100, v100, any the site has",
                Use.SCHEDULER, aliases=("gpu_type",)),
        Keyword("walltime", types.WALLTIME, 300, "longest time of a job: HH:MM:SS, HH:MM, D-HH:MM:SS or minutes",
                Use.SCHEDULER),
        Keyword("mem_per_cpu", types.GIGABYTES, None, "memory for each CPU, in GB", Use.SCHEDULER),
        Keyword("mem_per_node", types.GIGABYTES, None, "memory on each node, in GB; instead of mem_per_cpu",
                Use.SCHEDULER),
        Keyword("cpus_per_task", types.COUNT, None, "CPUs of each worker; nthreads when not given", Use.SCHEDULER),
        Keyword("project", types.TEXT, None, "account that is charged", Use.SCHEDULER),
        Keyword("queue", types.TEXT, None, "partition or queue", Use.SCHEDULER),
        Keyword("custom_sbatch_args", types.TEXT, None, "further options for sbatch, as on its command line",
                Use.SCHEDULER),
        Keyword("mail", types.TEXT, None, "address that is told when a job ends, and when it fails", Use.SCHEDULER),
        Keyword("site", types.TEXT, None, "which site's settings hold", Use.MISSING),
        Keyword("array", types.choice("workers", "trials"), "workers",
                "what a task of a job array is: a worker, or one trial of a grid", Use.SCHEDULER),
    ),
    "Environment": (
        Keyword("supp_modules", types.WORDS, [], "environment modules to load, separated by blanks"),
        Keyword("python_bin_path", types.PATH, None,
                "the Python that runs the script: an interpreter, the folder it is in, or an environment"),
        Keyword("exec_python_module", types.ARGUMENTS, None, "environment module whose Python runs the script"),
        Keyword("supp_pythonpath", types.PATHS, None, "folders appended to sys.path, separated by ':'"),
        Keyword("extra_script_args", types.ARGUMENTS, None, "the script's arguments, split as a shell does it"),
        Keyword("exec_r_module", types.ARGUMENTS, None, "environment module whose R runs the script"),
        Keyword("supp_r_libs", types.PATHS, None, "folders of R packages, separated by ':'"),
        Keyword("dl_backend", types.choice("keras", "pytorch"), None,
                "framework of the model, in old input files", Use.NOTHING),
        Keyword("runner", RUNNER, "auto", "how the script is run; auto: by its suffix"),
        Keyword("command", types.TEXT, None, "a command line with {name} for each hyperparameter, instead of a script"),
        Keyword("result_pattern", types.TEXT, None,
                "regular expression with a group that finds the result in a command's output, the last match"),
        Keyword("gpus_per_trial", types.COUNT, None, "GPUs of each trial", Use.SCHEDULER),
        Keyword("workers_per_gpu", types.COUNT, None, "how many workers share a GPU", Use.SCHEDULER),
        Keyword("stage", types.WORDS, [], "files copied to each node's own disk before the first trial", Use.MISSING),
        Keyword("keep", types.TEXT, None, "which files of finished trials are kept", Use.MISSING),
    ),
    "Search": (
        Keyword("sampler", SAMPLER, "auto", "who proposes hyperparameters; auto: what suits the space"),
        Keyword("n_trials", types.COUNT, None, "how many trials the search has"),
        Keyword("max_hours", types.HOURS, None, "how long the search may take, in hours, restarts included"),
        Keyword("design_size", types.COUNT, 10, "trials of the initial, space-filling design", Use.BAYESIAN),
        Keyword("propose_points", types.COUNT, 10, "trials in each iteration after it", Use.BAYESIAN),
        Keyword("max_iterations", types.COUNT_OR_ZERO, 10, "iterations after the initial design", Use.BAYESIAN),
        Keyword("max_budget", types.COUNT, 110,
                "trials: min(max_budget, design_size + propose_points × max_iterations)", Use.BAYESIAN),
        Keyword("objective", types.WORDS, ["val_loss"],
                "what is optimised, when the script returns several values; several names: all of them"),
        Keyword("direction", types.each("minimize", "maximize"), ["minimize"],
                "whether less or more is better; one word, or one for each objective"),
        Keyword("pruner", PRUNER, "none", "who stops hopeless trials early, by what the script reports"),
        _of_pruners("warmup", types.COUNT_OR_ZERO, "first reports of each trial that are not judged"),
        _of_pruners("startup", types.COUNT_OR_ZERO, "completed trials before any is pruned"),
        _of_pruners("interval", types.COUNT, "every so many reports are judged"),
        _of_pruners("min_steps", types.COUNT, "the step of the lowest rung"),
        _of_pruners("max_steps", types.COUNT, "the steps of a whole trial"),
        _of_pruners("factor", types.integer(2), "one in so many goes on from each rung"),
        _of_pruners("threshold", types.PROBABILITY, "the p-value below which a trial ends"),
        Keyword("warm_start", types.TEXT, None, "experiment or CSV whose results inform the search", Use.BAYESIAN),
        Keyword("restart_from_exp", types.TEXT, None,
                "experiment to go on with, of the same input and script; as 'hpo resume X003'"),
        Keyword("journal", types.TEXT, None, "database that keeps the journal, instead of the experiment's folder",
                Use.MISSING),
    ),
    "Files in place of sections": (
        Keyword("default_model_file", types.PATH, None, "file that replaces the section &default_model",
                aliases=("candle_default_model_file",)),
        Keyword("param_space_file", types.PATH, None, "file that replaces the section &param_space",
                aliases=("candle_param_space_file",)),
    ),
}  # fmt: skip

KEYWORDS: Mapping[str, Keyword] = {row.name: row for rows in GROUPS.values() for row in rows}
#: Every name that a file may use, in lower case -> its row.
SPELLINGS: Mapping[str, Keyword] = {name: row for row in KEYWORDS.values() for name in (row.name, *row.aliases)}


@dataclass(slots=True)
class Control:
    """What &control says.

    values: every keyword of the table. asked: the canonical names that the file has. given: those of them that could
    be read, with where they stand.
    unavailable: what it asks for that this version cannot do. notes: remarks on what has no effect here.
    """

    values: dict[str, Any] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    given: dict[str, Assignment] = field(default_factory=dict)
    unavailable: list[Complaint] = field(default_factory=list)
    notes: list[Complaint] = field(default_factory=list)

    @property
    def single_run(self) -> bool:
        """Whether the defaults are run once, here, instead of a search."""
        return not self.values["run_workflow"]

    @property
    def without_script(self) -> bool:
        """Whether a command stands in place of a script."""
        return "command" in self.asked and "model_script" not in self.asked


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where an input file is read: its own path, the folder of the command, the environment variables."""

    file: Path
    cwd: Path
    environment: Mapping[str, str]

    @classmethod
    def of(cls, file: Path) -> Surroundings:
        """Return those of this process."""
        return cls(file, Path.cwd(), os.environ)

    def text(self, written: str) -> str:
        """Return a written value without its quotes, and expanded unless these are single quotes."""
        inner = unquote(written)
        if inner is not None and written[0] not in '"“”„‟':
            return inner
        return expand(written if inner is None else inner, self.cwd, self.environment)

    def path(self, text: str) -> str:
        """Return a path; relative ones begin in the input file's folder."""
        return str(Path(os.path.abspath(self.file)).parent / text)  # (resolve() would follow links)

    def paths(self, text: str) -> str:
        """Return paths, separated as in `text`; empty ones are left out."""
        return os.pathsep.join(self.path(part) for part in text.split(os.pathsep) if part)


def read_control(
    assignments: Sequence[Assignment], around: Surroundings, complaints: Complaints, *, checked: bool = True
) -> Control:
    """Read the assignments of &control, command line included, by the table.

    checked: whether a required keyword that is missing is a mistake; not when the whole section is.
    """
    control = Control(values={row.name: row.default for row in KEYWORDS.values()})
    for name, group in _by_keyword(assignments, around.file, complaints).items():
        values = [_read(KEYWORDS[name], each, around, complaints) for each in group]
        control.asked.add(name)
        if _agree(group, values, around.file, complaints):
            control.values[name], control.given[name] = values[0], group[0]
    if checked:
        _check_required(control, around.file, complaints)
    _check_together(control, around.file, complaints)
    _check_use(control, around.file)
    return control


def _by_keyword(assignments: Sequence[Assignment], file: Path, complaints: Complaints) -> dict[str, list[Assignment]]:
    """Sort the assignments by canonical name; unknown and repeated ones go to `complaints`."""
    groups: dict[str, list[Assignment]] = {}
    seen: dict[str, Assignment] = {}
    unknown = 0
    for each in assignments:
        spelt = each.target.casefold()
        if spelt not in SPELLINGS:
            unknown += 1
            if unknown <= MAX_REFUSED:
                each.complain(_unknown(each), file, complaints)
        elif spelt in seen:
            each.complain(f"keyword '{each.target}' is given twice, first in line {seen[spelt].line}", file, complaints)
        else:
            seen[spelt] = each
            groups.setdefault(SPELLINGS[spelt].name, []).append(each)
    return groups


def _unknown(assignment: Assignment) -> str:
    message = f"unknown &control keyword '{assignment.target}'."
    near = did_you_mean(assignment.target, SPELLINGS)
    if not near and assignment.inline:
        near = " If it belongs to the value before it, put that value in quotes."
    return message + (near or " 'hpo keywords' lists them.")


def _read(row: Keyword, assignment: Assignment, around: Surroundings, complaints: Complaints) -> Any:
    """Return the value of one assignment, or what was probably meant, or None; what is wrong goes to `complaints`."""
    if assignment.broken:
        return None
    try:
        text = around.text(assignment.text) if assignment.text else ""
        if not text.strip():
            raise BadValue("has no value")
        value = row.type.read(text.strip())
        if row.type.are_paths:
            return around.paths(value)
        return around.path(value) if row.type.is_path else value
    except BadValue as error:
        assignment.complain(f"{assignment.target} {error}", around.file, complaints)
        return error.meant


def _agree(group: list[Assignment], values: list[Any], file: Path, complaints: Complaints) -> bool:
    """Whether all could be read, and older and newer names of one keyword say the same."""
    if any(value is None for value in values):
        return False
    for other, value in zip(group[1:], values[1:], strict=True):
        if value != values[0]:
            both = f"{group[0].target} = {group[0].text} (line {group[0].line}) and {other.target} = {other.text}"
            name = SPELLINGS[other.target.casefold()].name
            other.complain(f"{both} are two values for one keyword, {name}", file, complaints)
            return False
    return True


def _check_required(control: Control, file: Path, complaints: Complaints) -> None:
    for row in KEYWORDS.values():
        replaced = row.name == "model_script" and control.without_script
        if row.required and row.name not in control.asked and not replaced:
            complaints.error(f"&control has no {row.name}: {row.help}", file)


#: What `isolation = none` cannot do, and why.
_OF_ANOTHER_PROCESS: Mapping[str, str] = {
    "trial_timeout": "nothing can stop a trial",
    **dict.fromkeys(("python_bin_path", "exec_python_module"), "the script runs in hpo's own Python"),
    "supp_modules": "the environment is that of hpo itself",
    "command": "there is no process to run it in",
}


def _check_together(control: Control, file: Path, complaints: Complaints) -> None:
    """Complain of keywords that do not go together."""
    values, given = control.values, control.given
    if values["isolation"] == "none":
        for name, why in _OF_ANOTHER_PROCESS.items():
            if name in given:
                given[name].complain(f"{name} needs isolation = process; with none, {why}", file, complaints)
    if "command" in given and values["runner"] not in ("auto", "command"):
        message = f"command is run by runner = command; leave out runner = {values['runner']}, or command"
        given["command"].complain(message, file, complaints)
    if "mem_per_cpu" in given and "mem_per_node" in given:
        given["mem_per_node"].complain("give mem_per_cpu or mem_per_node, not both", file, complaints)


def _has_effect(row: Keyword, control: Control) -> bool:
    if row.use is Use.SCHEDULER:
        return place.submits(control.values["executor"])
    return row.use is Use.BAYESIAN and control.values["workflow"] != "grid"


def _check_use(control: Control, file: Path) -> None:
    """Say what is given and has no effect here, or cannot be done by this version."""
    for name, assignment in control.given.items():
        row, value = KEYWORDS[name], control.values[name]
        where = (file, assignment.line) if assignment.line else (None, None)
        if row.use is Use.MISSING and value != row.default:
            control.unavailable.append(Complaint(f"{name} is {row.use.value}: {row.help}", *where))
        elif row.available and value not in row.available:
            message = f"{name} = {value} is not available in this version, only {', '.join(row.available)}"
            control.unavailable.append(Complaint(message, *where))
        elif row.use in (Use.SCHEDULER, Use.NOTHING, Use.BAYESIAN) and not _has_effect(row, control):
            control.notes.append(Complaint(f"{name} is for {row.use.value}", *where))
