"""``$VAR``, ``${VAR}``, ``$(pwd)`` and ``~`` in the values of &control. No command is ever run."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from hpo.inputfile.values import BadValue

_REFERENCE = re.compile(
    r"\$\((?P<command>[^)]*)\)?|\$\{(?P<braced>[^}]*)\}?|\$(?P<name>[A-Za-z_]\w*)|(?P<tick>`[^`]*`?)", re.ASCII
)
_HOME = re.compile(r"~[\w.-]*(?=/|\Z)")


def expand(text: str, cwd: Path, environment: Mapping[str, str]) -> str:
    """Return `text` with its references replaced; what they are replaced by is not looked at again.

    cwd: what ``$(pwd)`` stands for, the folder in which the command is run. Raises `BadValue` for an unset variable,
    and for any command but pwd.
    """

    def replace(match: re.Match[str]) -> str:
        if match["tick"] or match["command"] is not None:
            if (match["command"] or "").strip() == "pwd" and match[0].endswith(")"):
                return str(cwd)
            raise BadValue(f"holds '{match[0]}', but no command is run here; only $(pwd) is replaced")
        return _variable(match["name"] or (match["braced"] or "").strip(), match[0], environment)

    home = _HOME.match(text)
    start = os.path.expanduser(home[0]) if home else ""
    return start + _REFERENCE.sub(replace, text[home.end() if home else 0 :])


def _variable(name: str, written: str, environment: Mapping[str, str]) -> str:
    if name not in environment:
        raise BadValue(f"holds {written}, but this environment variable is not set")
    return environment[name]
