"""One run of the script, here and now, with its output on the terminal: the defaults, or a trial once more."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

from hpo import runners
from hpo.errors import UsageError
from hpo.experiment import Experiment
from hpo.inputfile import InputFile
from hpo.results.view import View
from hpo.runners.debugger import debug
from hpo.script import Script
from hpo.session import INTERRUPTED, TERMINATED, end_at_once
from hpo.trial import Attempt, Interrupt, Result, State
from hpo.worker import attempts


def run(inputfile: InputFile, script: Script, *, debugger: bool = False) -> int:
    """Run the defaults in the working directory; 0, 1 when it failed, 130 or 143 by a signal.

    The dictionary is printed first, the value last. Leaves `subprocess_out_and_err.txt`, `result.txt` and
    `candle_value_to_return.json`, and replaces those of an earlier single run, nothing else.
    """
    folder = Path.cwd()
    for name in ("result.txt", "candle_value_to_return.json"):
        (folder / name).unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="hpo-") as scratch:
        attempt = attempts.of_defaults(inputfile, folder, Path(scratch))
        return _here(script, inputfile.control, attempt, _Watch(), debugger=debugger)[0]


def rerun(experiment: Experiment, number: int, *, debugger: bool) -> int:
    """Run a trial again from the experiment's own copy of the code, in a fresh folder, and compare the value.

    0 when it ended as before, 1 when it did not, or when there was nothing to compare it with and it failed.
    """
    view = View(experiment)
    before = view.row(number)
    if not before.params and not before.state.final:
        raise UsageError(f"trial {before.id} of {experiment.name} has not begun; there is nothing to run again")
    params, watch = dict(before.params), _Watch()
    folder = _fresh(experiment.folder / "rerun", before.id)
    with tempfile.TemporaryDirectory(prefix="hpo-") as scratch:
        attempt = replace(attempts.prepare(experiment, number, params, folder, Path(scratch)), live=True)
        code, result = _here(experiment.script, experiment.keywords, attempt, watch, debugger=debugger)
    if result is None:
        return code
    print(f"folder: {folder}")
    if before.value is not None:
        value, where = result.value, ""
        if before.state is State.PRUNED:  # nobody ends it now: what it reported there is what can be compared
            step = view.trial(number)["reports"][-1][0]
            value, where = watch.reports.get(step), f" at step {step}, after which it was pruned"
        same = value == before.value
        print(f"the same value as before{where}" if same else f"another value: before it was {before.value!r}{where}")
        return 0 if same else 1
    if before.reason is not None:
        print(f"before, it failed: {before.reason}")
        return 0 if result.failure is not None and result.failure.sentence == before.reason else 1
    return code


def _here(
    script: Script, keywords: Mapping[str, Any], attempt: Attempt, watch: _Watch, *, debugger: bool
) -> tuple[int, Result | None]:
    """Run one attempt on the terminal; the exit code, and the result unless the debugger or a signal ended it."""
    print(json.dumps(attempt.params, indent=1), flush=True)
    if debugger:
        if script.runner != "python" or keywords["python_bin_path"]:
            raise UsageError("--pdb debugs Python scripts that run in hpo's own interpreter")
        return debug(script, keywords, attempt), None
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, watch.handle)
    runner = runners.create(script, keywords)
    try:
        result = runner.run(attempt, watch)
    finally:
        runner.close()
    for note in result.notes:
        print(f"note: {note}", file=sys.stderr)
    if watch.signal is not None:
        return _code(watch.signal), None
    if result.failure is not None:
        print(f"failed: {result.failure.sentence}", file=sys.stderr)
        return 1, result
    assert result.value is not None
    attempts.write_result(attempt.folder, result.value)
    print(repr(result.value))
    return 0, result


class _Watch:
    """Ends the run on a signal. reports: step -> value."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self.reports: dict[int, float] = {}

    def handle(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self.signal is not None:
            end_at_once(_code(self.signal))
        self.signal = number

    def poll(self) -> Interrupt | None:
        return Interrupt.PAUSE if self.signal is not None else None

    def report(self, step: int, value: float) -> None:
        self.reports[step] = value


def _code(number: int) -> int:
    return INTERRUPTED if number == signal.SIGINT else TERMINATED


def _fresh(where: Path, trial_id: str) -> Path:
    """Make the first folder of `<id>.1`, `<id>.2`, ... that is not there yet."""
    number = 1
    while True:
        try:
            (folder := where / f"{trial_id}.{number}").mkdir(parents=True)
        except FileExistsError:
            number += 1
        else:
            return folder
