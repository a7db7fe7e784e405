"""Why a text is not a script: as this interpreter has it, or another one."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a text is not a script, and the line when it is known; not certain: perhaps nobody ever reads that line."""

    message: str
    line: int | None = None
    certain: bool = True

    @classmethod
    def of(cls, error: SyntaxError | ValueError) -> Fault:
        if isinstance(error, SyntaxError):
            return cls(error.msg, error.lineno)
        return cls(str(error))


#: Run by another interpreter, of Python 3.6 or later; prints what is wrong with a script as JSON, or null.
_PROBE = """
import json, sys, warnings
warnings.simplefilter("ignore")
try:
    with open(sys.argv[1], "rb") as file:
        compile(file.read(), sys.argv[1], "exec", dont_inherit=True)
    fault = None
except SyntaxError as error:
    fault = [error.msg, error.lineno]
except (ValueError, RecursionError, MemoryError) as error:
    fault = [str(error), None]
print(json.dumps(fault))
"""


def foreign_fault(python: Path, path: Path) -> Fault | None:
    """Return what another interpreter finds wrong with a script, or None; also when that interpreter does not start."""
    try:
        done = subprocess.run(
            [python, "-I", "-S", "-c", _PROBE, path], capture_output=True, text=True, timeout=60, check=True
        )
        fault = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, json.JSONDecodeError):
        return None
    return Fault(*fault) if fault else None
