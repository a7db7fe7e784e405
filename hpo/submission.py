"""From an input file to a running search: check everything, create the experiment, start its workers."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from hpo import checks, session, single
from hpo.creation import create
from hpo.errors import Complaint, InputError, SchedulerError, UsageError
from hpo.executors import TABLE
from hpo.experiment import Experiment
from hpo.restart import experiment_of
from hpo.search.plan import Search
from hpo.session import Manner
from hpo.slurm import allocation, commands, place, request


class Submission:
    """One input file, checked. Raises `InputError` with all that is wrong before anything is made or started."""

    def __init__(self, file: str, overrides: Sequence[str], *, single: bool = False, trial: str | None = None) -> None:
        self.checked = checks.check(Path(file), overrides, single=single, trial=trial)
        for warning in self.checked.warnings:
            print(f"warning: {warning}", file=sys.stderr)
        if self.checked.destination.why:
            print(self.checked.destination.why, file=sys.stderr)

    def run(self, manner: Manner, *, dry_run: bool) -> int:
        """Carry it out; return the exit code."""
        inputfile, executor = self.checked.inputfile, self.checked.destination.executor
        if manner.detach:
            session.refuse_to_detach(executor)
        if dry_run or inputfile.dry_run:
            checks.describe(self.checked)
            return 0
        if inputfile.single_run:
            _refuse_for_a_single_run(manner)
            return single.run(inputfile, self.checked.analysis.script)
        files = self.checked.analysis.files
        if inputfile.control["restart_from_exp"]:
            return session.resume(experiment_of(inputfile, files), manner)
        assert self.checked.search is not None  # or a mistake would have been raised
        experiment = create(inputfile, self.checked.analysis.script, files, self.checked.search)
        if not manner.parsable:
            session.say(
                f"{experiment.name}: {_trials(self.checked.search, experiment)}, {_at_a_time(experiment, executor)}"
            )
        return session.begin(experiment, executor, manner)


def _refuse_for_a_single_run(manner: Manner) -> None:
    """Raises `UsageError` for what only a search has."""
    options = [f"--{name}" for name in ("detach", "parsable") if getattr(manner, name)]
    if options:
        raise UsageError(
            f"this is a single run (run_workflow = 0), which stays here: leave out {' and '.join(options)}"
        )


def _at_a_time(experiment: Experiment, executor: str) -> str:
    workers = session.worker_count(experiment)
    if TABLE[executor].queued:
        return f"{workers} at a time, as jobs of Slurm"
    return f"{workers} local worker{'s' if workers > 1 else ''}"


def _trials(search: Search, experiment: Experiment) -> str:
    plural = "" if experiment.budget == 1 else "s"
    trials = f"{experiment.budget} trial{plural}" if search.n_trials else f"trials for {experiment.max_hours} hours"
    warm = search.warm_start
    return f"{trials} informed by {len(warm.trials)} of {warm.source}" if warm else trials


def interactive_run(file: str, overrides: Sequence[str], trial: str | None, *, debugger: bool) -> int:
    """`hpo run --interactive`: the same on a node, in an allocation with the file's resources; becomes srun.

    Raises `SchedulerError` where there is no Slurm, and `UsageError` where this is a node of it, or one that has ended.
    """
    inputfile = _single(file, overrides, trial).checked.inputfile
    if not commands.on_path("srun"):
        raise SchedulerError("there is no srun on PATH: leave out --interactive to run on this machine")
    if allocation.in_step():
        raise UsageError("this runs in a step of Slurm's already (srun), on a node: leave out --interactive")
    place.refuse_ended()
    control = inputfile.control
    mistakes = [*request.mistakes(control, inputfile.given)] or allocation.excesses(control, whole=True)
    complaints = [Complaint(message, *inputfile.where(keyword, Path(file))) for keyword, message in mistakes]
    if complaints:
        raise InputError(complaints)
    terminal = ["--pty"] if sys.stdin.isatty() and sys.stdout.isatty() else []
    more = [*(["--trial", trial] if trial else []), *(["--pdb"] if debugger else [])]
    again = [sys.executable, "-P", "-m", "hpo.cli", "run", file, *overrides, *more]
    # An allocation of the user's own that began with --export=NONE would have srun keep modules and PATH from it.
    options = ["--nodes=1", "--ntasks=1", "--export=ALL", *request.resources(inputfile.control), *terminal]
    os.execvpe("srun", ["srun", *options, *again], allocation.without_requests(os.environ))  # noqa: S606


def single_run(file: str, overrides: Sequence[str], trial: str | None, *, debugger: bool) -> int:
    """`hpo run`: one run of the defaults, overlaid by the parameters of `trial` (an id, or a number from 0)."""
    checked = _single(file, overrides, trial).checked
    return single.run(checked.inputfile, checked.analysis.script, debugger=debugger)


def _single(file: str, overrides: Sequence[str], trial: str | None) -> Submission:
    return Submission(file, overrides, single=True, trial=trial)
