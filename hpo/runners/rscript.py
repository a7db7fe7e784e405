"""R scripts: `candle_params` (and `hyperparams`) go in, `candle_value_to_return` (or `val_to_return`) comes out."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hpo.runners import environment, returned
from hpo.runners.base import IsolatedRunner, Launch
from hpo.runners.supervision import Ending, Files
from hpo.script.faults import Fault
from hpo.trial import Attempt

BOOTSTRAP = Path(__file__).with_name("bootstrap.R")
_MODULE = "exec_r_module"
_ASK_FOR_JSONLITE = 'quit(status = !requireNamespace("jsonlite", quietly = TRUE))'
_NO_JSONLITE = 'the R package jsonlite is missing: install.packages("jsonlite"), or name its folder in supp_r_libs'
#: Reads a script as our bootstrap does.
_READ = """
lines <- readLines(commandArgs(TRUE)[[1]], warn = FALSE, encoding = "UTF-8")
tryCatch(
  invisible(parse(text = lines, keep.source = FALSE, encoding = "UTF-8")),
  error = function(e) cat(conditionMessage(e))
)
"""
_FAULT = re.compile(r":(?P<line>\d+):\d+: (?P<what>.*)")


def rscript(keywords: Mapping[str, Any]) -> tuple[str, environment.Changes]:
    """The Rscript for a script, and the changes to its environment. Raises `EnvironmentFault` when it is not there."""
    changes = environment.modules(keywords, _MODULE)
    found = environment.which(["Rscript"], changes)
    if found is None:
        raise environment.EnvironmentFault("Rscript is not on PATH: install R, or name its module in exec_r_module")
    folders = environment.words(keywords.get("supp_r_libs"), os.pathsep)
    if folders:
        before = environment.applied(changes).get("R_LIBS")
        changes = {**changes, "R_LIBS": os.pathsep.join([*folders, *([before] if before else [])])}
    return found, changes


class RScriptRunner(IsolatedRunner):
    """Starts Rscript for each trial; the hyperparameters travel through jsonlite."""

    _rscript = "Rscript"

    module = _MODULE

    @classmethod
    def missing(cls, keywords: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Rscript, or the package that our bootstrap needs."""
        try:
            program, changes = rscript(keywords)
        except environment.EnvironmentFault as fault:
            yield f"the script is in R, but {fault}", ""
            return
        told = environment.answer([program, "--no-save", "--no-restore", "-e", _ASK_FOR_JSONLITE], changes)
        if told is not None and told.returncode != 0:  # else it has it, or R was slow: the first trial will tell
            yield _NO_JSONLITE, "supp_r_libs"

    @classmethod
    def syntax_fault(cls, path: Path, keywords: Mapping[str, Any]) -> Fault | None:
        """What R's parser says."""
        program, changes = rscript(keywords)
        command = [program, "--vanilla", "-e", _READ, str(path)]
        fault = _FAULT.search(environment.said(command, {**changes, "LANGUAGE": "en"}))
        return Fault(f"this is not R: {fault['what']}", int(fault["line"])) if fault else None

    def launch(self) -> Launch:
        """Find Rscript, after the modules are loaded."""
        self._rscript, changes = rscript(self.keywords)
        return Launch(changes=changes)

    def request(self, attempt: Attempt, files: Files) -> dict[str, Any]:
        """Rscript with our bootstrap; what is for it alone is in variables, the arguments are the script's."""
        params = files.scratch / "params.json"
        params.write_text(json.dumps(dict(attempt.params)))
        own = {
            "HPO_R_PARAMS": str(params),
            "HPO_R_SOURCE": str(returned.source(self.script)),
            "HPO_R_OUTCOME": str(files.outcome),
            "HPO_R_SEED": str(attempt.rng_seed % 2**31),
        }
        arguments = environment.words(self.keywords.get("extra_script_args"))
        return {"argv": [self._rscript, str(BOOTSTRAP), *arguments], "own": own}

    def outcome(self, attempt: Attempt, files: Files, ending: Ending) -> dict[str, Any] | None:
        """What the variable held."""
        del attempt
        return returned.of_variable(files, ending, self.keywords)
