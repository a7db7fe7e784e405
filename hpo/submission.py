"""From an input file to a running search: check everything, create the experiment, start its workers."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from hpo import checks, session, single
from hpo.errors import UsageError
from hpo.experiment import Experiment, create
from hpo.results import find_number
from hpo.search import Search


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
                print(f"{experiment.name}: {trials}, {workers} at a time, as jobs of Slurm", flush=True)
            return session.submit(experiment, wait=wait, parsable=parsable)
        if parsable:
            print(experiment.name, flush=True)
        else:
            plural = "s" if workers > 1 else ""
            trials = _trials(self.checked.search, experiment)
            print(f"{experiment.name}: {trials}, {workers} local worker{plural}", flush=True)
        if detach:
            return session.detach(experiment, executor, quiet=parsable)
        return session.conduct(experiment, executor, quiet=parsable)


def _trials(search: Search, experiment: Experiment) -> str:
    if search.n_trials is None:
        return f"trials for {experiment.max_hours} hours"
    return f"{experiment.budget} trials"


def single_run(file: str, overrides: Sequence[str], trial: str | None, *, debugger: bool) -> int:
    """`hpo run`: one run of the defaults, overlaid by the parameters of `trial` (an id, or a number from 0)."""
    submission = Submission(file, overrides)
    inputfile = submission.checked.inputfile
    params = None
    if trial is not None:
        number = find_number(inputfile.space, inputfile.space.size() or 0, trial)
        if number is None:
            raise UsageError(f"{file} has no trial {trial!r}; its {inputfile.space.size()} trials are numbered from 0")
        params = inputfile.space.point(number)
    return single.run(inputfile, submission.checked.analysis.script, params, debugger=debugger)
