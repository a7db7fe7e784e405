"""From an input file to a running search: check everything, create the experiment, start its workers."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hpo import checks, session, single
from hpo.errors import SchedulerError, UsageError
from hpo.experiment import Experiment, create
from hpo.inputfile import InputFile
from hpo.results import find_number
from hpo.search import Search
from hpo.slurm import commands, request


class Submission:
    """One input file, checked. Raises `InputError` with all that is wrong before anything is made or started."""

    def __init__(self, file: str, overrides: Sequence[str]) -> None:
        self.checked = checks.check(Path(file), overrides)
        for warning in self.checked.warnings:
            print(f"warning: {warning}", file=sys.stderr)
        if self.checked.destination.why:
            print(self.checked.destination.why, file=sys.stderr)

    def run(self, *, dry_run: bool, detach: bool, parsable: bool, wait: bool = False) -> int:
        """Carry it out; return the exit code."""
        inputfile = self.checked.inputfile
        executor = self.checked.destination.executor
        if detach and executor == "inline":
            raise UsageError("--detach needs worker processes: leave out --executor inline")
        if dry_run or inputfile.dry_run:
            checks.describe(self.checked)
            return 0
        if inputfile.single_run:
            return single.run(inputfile, self.checked.analysis.script)
        assert self.checked.search is not None  # or a mistake would have been raised
        experiment = create(inputfile, self.checked.analysis.script, self.checked.analysis.files, self.checked.search)
        workers = session.worker_count(experiment)
        if executor == "slurm":
            if not parsable:
                trials = _trials(self.checked.search, experiment)
                _say(f"{experiment.name}: {trials}, {workers} at a time, as jobs of Slurm")
            return session.submit(experiment, wait=wait, parsable=parsable)
        if parsable:
            _say(experiment.name)
        else:
            plural = "s" if workers > 1 else ""
            trials = _trials(self.checked.search, experiment)
            _say(f"{experiment.name}: {trials}, {workers} local worker{plural}")
        if detach:
            return session.detach(experiment, executor, quiet=parsable)
        return session.conduct(experiment, executor, quiet=parsable)


def _say(text: str) -> None:
    """Print a line; if nobody reads any more the experiment is run all the same."""
    with contextlib.suppress(BrokenPipeError):
        print(text, flush=True)


def _trials(search: Search, experiment: Experiment) -> str:
    trials = f"{experiment.budget} trials" if search.n_trials else f"trials for {experiment.max_hours} hours"
    warm = search.warm_start
    return f"{trials} informed by {len(warm.trials)} of {warm.source}" if warm else trials


def interactive_run(file: str, overrides: Sequence[str], options: Sequence[str]) -> int:
    """`hpo run --interactive`: the same on a node, in an allocation with the file's resources; becomes srun.

    Raises `SchedulerError` where there is no Slurm.
    """
    submission = Submission(file, overrides)
    if not commands.on_path("srun"):
        raise SchedulerError("there is no srun on PATH: leave out --interactive to run on this machine")
    terminal = ["--pty"] if sys.stdin.isatty() and sys.stdout.isatty() else []
    again = [sys.executable, "-P", "-m", "hpo.cli", "run", file, *overrides, *options]
    resources = request.resources(submission.checked.inputfile.control)
    os.execvp("srun", ["srun", *resources, *terminal, *again])  # noqa: S606


def single_run(file: str, overrides: Sequence[str], trial: str | None, *, debugger: bool) -> int:
    """`hpo run`: one run of the defaults, overlaid by the parameters of `trial` (an id, or a number from 0)."""
    submission = Submission(file, overrides)
    inputfile = submission.checked.inputfile
    params = None if trial is None else _point(file, inputfile, trial)
    return single.run(inputfile, submission.checked.analysis.script, params, debugger=debugger)


def _point(file: str, inputfile: InputFile, trial: str) -> dict[str, Any]:
    """The parameters of a trial that is known before it runs: a point of a grid."""
    workflow = inputfile.control["workflow"]
    if workflow != "grid":
        raise UsageError(
            f"--trial is for grids: what the trials of workflow = {workflow} are is known when they run; then "
            "'hpo rerun EXP TRIAL' runs one again. A single value is given as KEY=VALUE, such as default_model.lr=0.01"
        )
    size = inputfile.space.size() or 0  # finite, or the reader would have complained
    number = find_number(inputfile.space, size, trial)
    if number is None:
        raise UsageError(f"{file} has no trial {trial!r}; its {size} trials are numbered from 0")
    return inputfile.space.point(number)
