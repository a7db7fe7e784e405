"""Everything that can be known to be wrong before anything starts.

`hpo check` shows it, `submit-job` and `run` begin with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from hpo import inputfile
from hpo.checks.alone import alone
from hpo.checks.checked import Checked
from hpo.checks.cluster import LOCAL, Destination, destination
from hpo.checks.commands import check_command, check_pattern
from hpo.checks.description import describe
from hpo.checks.environment import check_environment, python_of, search_path
from hpo.checks.kinds import check_kinds
from hpo.checks.names import check_names
from hpo.checks.syntax import check_syntax
from hpo.errors import Complaint, Complaints
from hpo.inputfile import InputFile
from hpo.runners import environment
from hpo.script import Analysis, Reads, Script, analyse, check_imports
from hpo.search.plan import Search, plan

__all__ = ["Checked", "check", "describe"]


def check(
    path: Path, overrides: Sequence[str] = (), *, to_run: bool = True, single: bool = False, trial: str | None = None
) -> Checked:
    """Read an input file and its model script, and check them as far as is possible without running anything.

    overrides: KEY=VALUE arguments. to_run: whether they are to be run now; if not, what this version cannot do is a
    warning. single: take it for a single run, whatever the file says. trial: the trial (an id, or a number from 0)
    whose parameters are laid over the defaults of that. Raises `InputError` with every mistake.
    """
    inspection = _Inspection(Path(path), to_run, single, trial)
    given = inputfile.read(path, overrides, to_run=to_run, inspect=inspection)
    assert inspection.analysis is not None  # a file that could be read has a script
    if single:
        given = alone(given, trial, Complaints())
    given = replace(given, control={**given.control, **inspection.destination.control})
    notes = (*given.notes, *_lists_in_texts(given, inspection.file), *inspection.notes, *inspection.destination.notes)
    return Checked(given, inspection.analysis, inspection.search, given.warnings, notes, inspection.destination)


@dataclass
class _Inspection:
    """Adds what is wrong with the script to what is wrong with the input file, before either is raised."""

    file: Path
    to_run: bool
    single: bool = False
    trial: str | None = None
    analysis: Analysis | None = None
    search: Search | None = None
    notes: list[Complaint] = field(default_factory=list)
    destination: Destination = LOCAL

    def __call__(self, given: InputFile, values_known: bool, complaints: Complaints) -> None:
        if self.single:
            given = alone(given, self.trial if values_known else None, complaints)
        self.analysis = _analysis(given, complaints)
        script = self.analysis.script
        check_environment(given, script, self.file, complaints, to_run=self.to_run)
        check_syntax(given, script, complaints)
        _check_imports(given, script, complaints)
        check_pattern(given, script, self.file, complaints)
        if given.control["isolation"] == "none" and script.runner != "python":
            message = f"isolation = none is for Python; a {script.runner} script has a process of its own: leave it out"
            complaints.error(message, *given.where("isolation", self.file))
        if values_known:
            check_command(given, self.file, complaints)
            self.notes = check_names(given, self.analysis, self.file, complaints)
            if given.control["workflow"] is not None and not given.single_run:
                self.search = plan(given, self.file, complaints)
        if values_known and not given.single_run:
            check_kinds(given, self.file, complaints)
        if not given.single_run:
            n_trials = self.search.n_trials if self.search else None
            self.destination = destination(given, n_trials, self.file, complaints, to_run=self.to_run)


def _analysis(given: InputFile, complaints: Complaints) -> Analysis:
    """Return what is known of the script; of a command nothing is but the input file that it stands in."""
    runner = "command" if "command" in given.given else given.control["runner"]
    if given.script is None:
        return Analysis(Script(given.path, "command"), Reads(everything=True), ())
    return analyse(
        given.script,
        complaints,
        runner=None if runner == "auto" else runner,
        python=python_of(given),
        search=search_path(given),
    )


def _check_imports(given: InputFile, script: Script, complaints: Complaints) -> None:
    if script.runner == "python" and script.form:
        closed = not environment.words(given.control["supp_modules"])
        check_imports(script.path, script.form, search_path(given), python_of(given), complaints, closed=closed)


def _lists_in_texts(given: InputFile, file: Path) -> list[Complaint]:
    """Return a note on each text of the space that the model gets as a list of numbers."""
    return [
        Complaint(f"{name} = '{text}' reaches the model as the list [{', '.join(text.split())}]", file)
        for name, text in given.space.read_as_lists
    ]
