"""Does a script's own interpreter understand it? It is asked to read the script, never to run it."""

from __future__ import annotations

from hpo import runners
from hpo.errors import Complaints
from hpo.inputfile import InputFile
from hpo.runners.environment import EnvironmentFault
from hpo.script import Script


def check_syntax(inputfile: InputFile, script: Script, complaints: Complaints) -> None:
    """Complain of a script that its interpreter cannot read; nothing without an interpreter."""
    try:
        fault = runners.TABLE[script.runner].syntax_fault(script.path, inputfile.control)
    except EnvironmentFault:
        return  # which was said
    if fault is not None:
        complain = complaints.error if fault.certain else complaints.warn
        complain(fault.message, script.path, fault.line)
