"""Any other program: an executable, or the command line of `command`, that prints its result or writes it to a file."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from hpo.errors import did_you_mean
from hpo.runners import environment, returned
from hpo.runners.base import IsolatedRunner, Launch
from hpo.runners.supervision import Ending, Files
from hpo.trial import Attempt

_NUMBER = r"[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|nan|inf(?:inity)?)"
#: How IMPROVE's models print their scores: ``IMPROVE_RESULT val_loss:	0.0123``.
_IMPROVE = re.compile(rf"IMPROVE_RESULT\s+([\w.-]+?)\s*[:=]?\s+({_NUMBER})(?![\w.])".encode(), re.IGNORECASE)
_PLACE = re.compile(r"\{\{|\}\}|\{([A-Za-z_][\w.]*)\}")


class CommandRunner(IsolatedRunner):
    """Starts a program for each trial. No shell is involved: the command line is split, then filled word by word."""

    def launch(self) -> Launch:
        """Nothing to find but the modules; a program that is not there is told by the first trial."""
        return Launch(changes=environment.modules(self.keywords))

    def request(self, attempt: Attempt, files: Files) -> dict[str, Any]:
        """The words of the command, or the script with its arguments."""
        del files
        if self.keywords.get("command"):
            return {"argv": filled(self.keywords["command"], attempt.params)}
        return {"argv": [str(returned.source(self.script)), *environment.words(self.keywords.get("extra_script_args"))]}

    def outcome(self, attempt: Attempt, files: Files, ending: Ending) -> dict[str, Any] | None:
        """What it wrote to HPO_RESULT_FILE, else the last result that it printed."""
        name = returned.objective(self.keywords)
        written = returned.read(files)
        if written is not None:
            return returned.outcome(written, ending, name, "")
        output = attempt.output.read_bytes()
        if self.keywords.get("result_pattern"):
            pattern = re.compile(self.keywords["result_pattern"].encode(), re.MULTILINE)
            missing = f": its output has nothing that matches result_pattern = {self.keywords['result_pattern']}"
            return returned.outcome(_last_match(pattern, output), ending, name, missing)
        missing = ": it printed no 'IMPROVE_RESULT NAME: NUMBER' and wrote nothing to HPO_RESULT_FILE"
        return returned.outcome(_scores(output), ending, name, missing)


def filled(command: str, params: Mapping[str, Any]) -> list[str]:
    """The words of a command line with ``{name}`` replaced by values; ``{{`` and ``}}`` are braces.

    A value stays within its word, whatever it contains. Raises `EnvironmentFault` for a name that has no value, as a
    parameter has none in a single run of the defaults.
    """

    def value(place: re.Match[str]) -> str:
        if place[1] is None:
            return place[0][0]
        if place[1] not in params:
            raise environment.EnvironmentFault(f"command has {{{place[1]}}}, which has no value in this run")
        return returned.text(params[place[1]])

    return [_PLACE.sub(value, word) for word in shlex.split(command)]


def places(command: str) -> list[str]:
    """The names that `command` has in braces, each once. Raises `ValueError` when a quote is left open."""
    words = shlex.split(command)
    return list(dict.fromkeys(place[1] for word in words for place in _PLACE.finditer(word) if place[1] is not None))


def command_errors(command: str, names: Iterable[str]) -> list[str]:
    """What is wrong with `command`, in sentences: quotes left open, nothing to run, names that are no parameters."""
    try:
        used = places(command)
    except ValueError as error:
        return [f"command cannot be split into words: {str(error).lower()}"]
    if not shlex.split(command):
        return ["command is empty"]
    known = set(names)
    unknown = [name for name in used if name not in known]
    return [f"command has {{{name}}}, which is no parameter.{did_you_mean(name, known)}" for name in unknown]


def pattern_errors(pattern: str) -> list[str]:
    """What is wrong with `result_pattern`, in sentences; it must have a group around the number."""
    try:
        groups = re.compile(pattern.encode(), re.MULTILINE).groups
    except re.error as error:
        return [f"result_pattern is no regular expression: {error}"]
    return [] if groups else ["result_pattern needs a group around the number, as in 'loss = ([0-9.e+-]+)'"]


def _last_match(pattern: re.Pattern[bytes], output: bytes) -> Any:
    last = None
    for match in pattern.finditer(output):
        last = match
    if last is None:
        return None
    found = last["value"] if "value" in pattern.groupindex else last[1]
    written = (found or b"").decode(errors="replace").strip()
    try:
        return float(written)
    except ValueError:
        return written


def _scores(output: bytes) -> dict[str, float] | None:
    """The last of each score that was printed; None when there is none."""
    return {name.decode(): float(number) for name, number in _IMPROVE.findall(output)} or None
