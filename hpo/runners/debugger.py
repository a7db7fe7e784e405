"""`--pdb`: the script runs in this very process, and where it fails the debugger opens."""

from __future__ import annotations

import os
import pdb
import sys
import traceback
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from hpo.runners import bootstrap
from hpo.runners.program import program
from hpo.script import Script
from hpo.trial import Attempt, Failure


def debug(script: Script, keywords: Mapping[str, Any], attempt: Attempt) -> int:
    """Run one attempt of a Python script here; return 0, or 1 after the debugger was left at the exception.

    Files and lines are the user's own, also where the code is the snapshot's. Output goes to the terminal only.
    """
    runnable = bootstrap.Program(program(script, keywords))
    os.environ.update(attempt.env)
    os.chdir(attempt.folder)
    runnable.install()
    bootstrap.prepare_libraries(attempt.rng_seed, attempt.nthreads)
    try:
        value, _, notes = runnable.value(dict(attempt.params))
    except bootstrap.NoResult as nothing:
        print(f"failed: {Failure(**nothing.failure).sentence}", file=sys.stderr)
        return 1
    except BaseException as error:  # whatever the script raises is what the user wants to see
        where = _of_the_user(error.__traceback__)
        traceback.print_exception(type(error), error, where)
        pdb.post_mortem(where)
        return 1
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    print(repr(value))
    return 0


def _of_the_user(trace: TracebackType | None) -> TracebackType | None:
    """The traceback from the first frame that is not ours."""
    while trace is not None and trace.tb_next is not None and _is_ours(trace):
        trace = trace.tb_next
    return trace


def _is_ours(trace: TracebackType) -> bool:
    return trace.tb_frame.f_code.co_filename in (
        __file__,
        bootstrap.__file__,
    ) or "importlib" in trace.tb_frame.f_globals.get("__name__", "")
