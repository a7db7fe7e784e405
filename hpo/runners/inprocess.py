"""`isolation = none`: the script runs in the worker itself. For functions that are cheaper than a process."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from hpo.runners import bootstrap
from hpo.runners.output import shorten
from hpo.runners.program import program
from hpo.runners.reports import ReportTail
from hpo.runners.supervision import Files
from hpo.script import Script
from hpo.trial import Attempt, Failure, Result, Watch


class InProcessRunner:
    """Calls the script's `run` (the module is imported once), or executes a plain script anew, in this process.

    The script can do whatever it likes to the worker; nothing ends it from outside, and its reports are read when it is
    over.
    """

    def __init__(self, script: Script, keywords: Mapping[str, Any]) -> None:
        self._program = bootstrap.Program(program(script, keywords))
        self._installed = False

    def run(self, attempt: Attempt, watch: Watch) -> Result:
        """Run the script once; see `trial.Runner`."""
        files = Files(attempt)
        request = {"params": dict(attempt.params)}
        try:
            files.clear()
            with _redirected(attempt), _surroundings(attempt, files):
                self._install()
                bootstrap.prepare_libraries(attempt.rng_seed, attempt.nthreads)
                outcome = bootstrap.outcome_of(self._program, request)
            shorten(attempt.output, attempt.max_output)
        except OSError as error:
            return Result(failure=Failure("storage", str(error)))
        ReportTail(files.reports, watch.report).finish()
        if "failure" in outcome:
            return Result(failure=Failure(**outcome["failure"]))
        return Result(value=outcome["value"], metrics=outcome["metrics"], notes=tuple(outcome["notes"]))

    def close(self) -> None:
        """Nothing to end."""

    def _install(self) -> None:
        if not self._installed:
            self._installed = True
            self._program.install()


@contextlib.contextmanager
def _redirected(attempt: Attempt) -> Iterator[None]:
    """Send descriptors 1 and 2 to the attempt's output, so that what native code prints is there, too."""
    _flush()
    saved = [os.dup(1), os.dup(2)]
    streams = sys.stdout, sys.stderr
    output = os.open(attempt.output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o666)
    try:
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.stdout, sys.stderr = (bootstrap.line_buffered(number, sys.__stdout__) for number in (1, 2))
        yield
    finally:
        _flush()
        sys.stdout, sys.stderr = streams
        for number, descriptor in enumerate(saved, start=1):
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.close(output)


@contextlib.contextmanager
def _surroundings(attempt: Attempt, files: Files) -> Iterator[None]:
    """Put the working directory, environment, arguments and `__main__` of the trial in place, and ours back."""
    folder, environment = os.getcwd(), dict(os.environ)
    main, arguments = sys.modules["__main__"], sys.argv
    os.environ.update({**attempt.env, **files.environment()})
    os.chdir(attempt.folder)
    try:
        yield
    finally:
        os.chdir(folder)
        _put_back(environment)
        sys.modules["__main__"], sys.argv = main, arguments


def _put_back(environment: Mapping[str, str]) -> None:
    """Undo what was changed in the environment; setting every variable anew would cost more than a cheap trial."""
    now = dict(os.environ)
    for name in now.keys() - environment.keys():
        del os.environ[name]
    for name, value in environment.items():
        if now.get(name) != value:
            os.environ[name] = value


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
