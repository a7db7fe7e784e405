"""What can be known of a model script without running it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hpo.errors import Complaints
from hpo.script import python as python_script
from hpo.script import textual
from hpo.script.faults import Fault, foreign_fault
from hpo.script.imports import check_imports
from hpo.script.modules import local_modules, preload
from hpo.script.reads import Read, Reads

__all__ = ["Analysis", "Read", "Reads", "Script", "analyse", "check_imports"]

#: File suffix (in lower case) -> runner. Anything else that can be executed is run as a command.
_LANGUAGES: Mapping[str, str] = {
    ".py": "python",
    **{suffix: name for name, language in textual.TABLE.items() for suffix in language.suffixes},
}


@dataclass(frozen=True, slots=True)
class Script:
    """A model script as the runners need it; frozen into `experiment.json`.

    path: where the user keeps it; its `__file__`, and the file that tracebacks name.
    runner: a name of `registry.RUNNERS`.
    form: "run" (`run(hyperparams)`), "canonical" (`initialize_parameters` and `run(params)`) or "plain" (reads
    the global dictionary); empty where the language has only one form.
    preload: the installed modules that it imports before its first other statement, in order; a dotted name may be an
    attribute of its parent instead, or missing, and is skipped then.
    snapshot: absolute original path -> the copy whose bytes are run in its place (the script and its local modules).
    """

    path: Path
    runner: str = "python"
    form: str = ""
    preload: tuple[str, ...] = ()
    snapshot: Mapping[Path, Path] = field(default_factory=dict)

    def to_json(self, copies: Mapping[Path, str]) -> dict[str, Any]:
        """Return it as JSON types, with the snapshot that was made: original path -> its copy, below `code`."""
        return {
            "path": str(self.path),
            "runner": self.runner,
            "form": self.form,
            "preload": list(self.preload),
            "snapshot": {str(original): copy for original, copy in copies.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], code: Path) -> Script:
        """Read what `to_json` wrote; `code` is the folder in which the copies lie now."""
        return cls(
            path=Path(data["path"]),
            runner=data["runner"],
            form=data["form"],
            preload=tuple(data["preload"]),
            snapshot={Path(original): code / copy for original, copy in data["snapshot"].items()},
        )


@dataclass(frozen=True, slots=True)
class Analysis:
    """What was found out about a model script.

    reads: the names it takes from its dictionary.
    files: the script and its local modules, to be kept with an experiment.
    """

    script: Script
    reads: Reads
    files: tuple[Path, ...]


def analyse(
    path: Path,
    complaints: Complaints,
    *,
    runner: str | None = None,
    python: Path | None = None,
    search: Sequence[Path] = (),
) -> Analysis:
    """Read a model script and return what can be known of it; mistakes and doubts go to `complaints`.

    path: an absolute path. runner: the language, instead of what the suffix says.
    python: another interpreter that will run it, whose grammar counts.
    search: folders of the user's own modules, searched after the script's folder.
    """
    language = runner or _language(path, complaints)
    if language == "command":
        return _analyse_command(path, complaints)
    source = _source(path, complaints)
    if source is None:
        return Analysis(Script(path, language), Reads(everything=True), ())
    if language == "python":
        return _analyse_python(path, source, complaints, python, search)
    return _analyse_text(path, source, language, complaints)


def _language(path: Path, complaints: Complaints) -> str:
    language = _LANGUAGES.get(path.suffix.lower(), "command")
    if language == "command" and path.is_file() and not os.access(path, os.X_OK):
        complaints.error(
            "the suffix does not tell the language of the script, and it cannot be executed: call it .py, .R or .sh, "
            "give `runner`, or make it executable (chmod +x)",
            path,
        )
    return language


def _source(path: Path, complaints: Complaints) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError as error:
        complaints.error(f"the model script cannot be read: {error.strerror}", path)
        return None


def _analyse_command(path: Path, complaints: Complaints) -> Analysis:
    if not path.is_file():
        complaints.error("the model script cannot be read: no such file", path)
    return Analysis(Script(path, "command"), Reads(everything=True), (path,))


def _analyse_text(path: Path, source: bytes, language: str, complaints: Complaints) -> Analysis:
    text, row = source.decode("utf-8", errors="replace"), textual.TABLE[language]
    if not row.value.search(text):
        complaints.warn("the script never names `candle_value_to_return`: it leaves no value", path)
    return Analysis(Script(path, language), row.reads(text), (path,))


def _analyse_python(
    path: Path, source: bytes, complaints: Complaints, python: Path | None, search: Sequence[Path]
) -> Analysis:
    foreign = foreign_fault(python, path) if python else None
    try:
        tree = python_script.parse(path, source)
    except (SyntaxError, ValueError) as error:
        fault = foreign if python else Fault.of(error)
        return _unparsed(path, source, fault, complaints)
    if foreign:
        complaints.error(f"{python} cannot read it: {foreign.message}", path, foreign.line)
    facts = python_script.study(path, tree, complaints)
    ahead = () if python else preload(tree, [path.parent, *search])
    files = local_modules(path, search, complaints)
    return Analysis(Script(path, "python", facts.form, ahead), facts.reads, files)


def _unparsed(path: Path, source: bytes, fault: Fault | None, complaints: Complaints) -> Analysis:
    """The script is not Python as this interpreter has it: a mistake, unless the one that will run it reads it."""
    form = _form_by_text(source.decode("utf-8", errors="replace"))
    if fault:
        complaints.error(f"this is not Python: {fault.message}", path, fault.line)
    else:
        complaints.warn("only its own interpreter can read the script: what it reads and leaves is not checked", path)
    return Analysis(Script(path, "python", form), Reads(everything=True), (path,))


def _form_by_text(text: str) -> str:
    if not re.search(r"^def run\b", text, re.MULTILINE):
        return "plain"
    return "canonical" if re.search(r"^def initialize_parameters\b", text, re.MULTILINE) else "run"
