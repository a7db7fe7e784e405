"""bash scripts, sourced: `candle_get_param NAME` prints a value, `candle_value_to_return` is the result."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hpo.runners import environment, returned
from hpo.runners.base import IsolatedRunner, Launch
from hpo.runners.supervision import Ending, Files
from hpo.script.faults import Fault
from hpo.trial import Attempt

#: `bash -c` gives the script its own name as $0 and its arguments as $@. The value is written when the shell exits, so
#: that `exit 0` after it was set is a success; a script with an exit trap of its own is written for at its end.
_PROGRAM = r"""
. "$HPO_BASH_PARAMS"
export -f candle_get_param
hpo_leave() {
    local value=${candle_value_to_return-${val_to_return-}}
    [ -z "$value" ] || printf '%s\n' "$value" >| "$HPO_RESULT_FILE"
}
trap hpo_leave EXIT
. "$HPO_BASH_SOURCE" "$@"
hpo_leave
exit 0
"""
#: What `bash -n` says, and what ends a script before its last line.
_FAULT = re.compile(r": line (?P<line>\d+): (?P<what>.*)")
_ENDS = re.compile(r"^[^\S\n]*(?:exit|exec)\b", re.MULTILINE)


class BashRunner(IsolatedRunner):
    """Starts bash for each trial and sources the script in it."""

    _bash = "bash"

    @classmethod
    def syntax_fault(cls, path: Path, keywords: Mapping[str, Any]) -> Fault | None:
        """What `bash -n` says. What stands behind the end of a script, such as data, is never read."""
        changes = environment.modules(keywords)
        program = environment.which(["bash"], changes)
        if program is None or not path.is_file():
            return None
        text = path.read_text("utf-8", "replace")
        patterns = ["-O", "extglob"] if "extglob" in text else []  # which changes the grammar
        command = [program, *patterns, "-n", str(path)]
        fault = _FAULT.search(environment.said(command, {**changes, "LC_ALL": "C", "BASH_ENV": None}))
        if fault is None:
            return None
        before = "".join(text.splitlines(keepends=True)[: int(fault["line"]) - 1])
        return Fault(f"this is not bash: {fault['what']}", int(fault["line"]), certain=not _ENDS.search(before))

    def launch(self) -> Launch:
        """Find bash, after the modules are loaded."""
        changes = environment.modules(self.keywords)
        found = environment.which(["bash"], changes)
        if found is None:
            raise environment.EnvironmentFault("bash is not on PATH")
        self._bash = found
        return Launch(changes=changes)

    def request(self, attempt: Attempt, files: Files) -> dict[str, Any]:
        """bash, which first reads the definition of `candle_get_param`."""
        params = files.scratch / "params.sh"
        params.write_text(definition(attempt.params))
        own = {"HPO_BASH_PARAMS": str(params), "HPO_BASH_SOURCE": str(returned.source(self.script))}
        arguments = environment.words(self.keywords.get("extra_script_args"))
        return {"argv": [self._bash, "-c", _PROGRAM, str(self.script.path), *arguments], "own": own}

    def outcome(self, attempt: Attempt, files: Files, ending: Ending) -> dict[str, Any] | None:
        """What the variable held."""
        del attempt
        return returned.of_variable(files, ending, self.keywords)


def definition(params: Mapping[str, Any]) -> str:
    """The shell function that prints the value of a parameter, for any bash there is (macOS has version 3)."""
    cases = "\n".join(
        f"    {shlex.quote(name)}) printf '%s\\n' {shlex.quote(returned.text(v))} ;;" for name, v in params.items()
    )
    unknown = "printf 'candle_get_param: there is no parameter named %s\\n' \"$1\" >&2; return 1"
    return f'candle_get_param() {{\n    case "$1" in\n{cases}\n    *) {unknown} ;;\n    esac\n}}\n'
