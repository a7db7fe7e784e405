"""Templates: input files that travel with the package, each with its model script, to be copied and changed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hpo import inputfile, shipped
from hpo.errors import Complaints, UsageError, did_you_mean, writing
from hpo.script import analyse


@dataclass(frozen=True, slots=True)
class Template:
    """name: as a user asks for it. input: its input file. summary: that file's first comment, one line."""

    name: str
    input: Path
    summary: str

    def files(self) -> dict[str, Path]:
        """Return what belongs to it: the name of each file's copy, relative to the folder it goes to -> the file.

        The input file, its model script, and the modules that the script imports, all side by side.
        """
        script = inputfile.read(self.input).script
        if script is None:
            return {self.input.name: self.input}
        modules = analyse(script, Complaints()).files
        return {self.input.name: self.input, **{str(file.relative_to(script.parent)): file for file in modules}}


def all_templates() -> list[Template]:
    """Return all templates, by name."""
    return [Template(file.stem, file, _first_comment(file)) for file in sorted(shipped.folder("inputs").glob("*.in"))]


def find(name: str) -> Template:
    """Return the template of that name. Raises `UsageError` that names the nearest one."""
    known = {template.name: template for template in all_templates()}
    wanted = name.removesuffix(".in").lower()
    if wanted not in known:
        near = did_you_mean(wanted, known) or f" There are {', '.join(known)}."
        raise UsageError(f"there is no template {name!r}.{near}")
    return known[wanted]


def copy(template: Template, folder: Path) -> list[Path]:
    """Copy a template into `folder`; return the files that are new.

    A file that is there with the same bytes is left alone. Raises `UsageError`, having copied nothing, when one is
    there that differs, and `StorageError` when the folder cannot be written.
    """
    contents = {folder / name: source.read_bytes() for name, source in template.files().items()}
    wanted = {target: content for target, content in contents.items() if not _is_there(target, content)}
    _refuse(target for target in wanted if target.exists() or target.is_symlink())
    for target, content in wanted.items():
        _write(target, content)
    return list(wanted)


def _is_there(target: Path, content: bytes) -> bool:
    return target.is_file() and target.read_bytes() == content


def _refuse(taken: Iterable[Path]) -> None:
    names = ", ".join(map(str, taken))
    if names:
        raise UsageError(f"nothing was copied: {names} would be overwritten")


def _write(target: Path, content: bytes) -> None:
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            file.write(content)


def _first_comment(file: Path) -> str:
    lines = (line.strip() for line in file.read_text(encoding="utf-8").splitlines())
    return next((line.lstrip("#! ") for line in lines if line.startswith(("#", "!"))), "")
