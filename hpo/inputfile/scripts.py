"""Which file `model_script` names."""

from __future__ import annotations

import os
from pathlib import Path

from hpo import shipped
from hpo.inputfile.files import nearest_file
from hpo.inputfile.values import BadValue


def find_script(text: str, folder: Path) -> Path:
    """Return the existing, readable file that `text` names: in `folder`, else among the packaged models.

    folder: the input file's; an absolute `text` is taken as it is. Raises `BadValue` with the nearest existing name.
    """
    beside = folder / text
    packaged = shipped.folder("models") / text
    for path in (beside, packaged):
        if _exists(path):
            return Path(os.path.abspath(_readable(path)))  # (resolve() would follow links)
    others = [] if Path(text).is_absolute() else _packaged_names()
    hint = nearest_file(beside, others)
    if _exists(folder / beside.name):
        hint = f" There is one beside the input file: write model_script = {beside.name}"
    raise BadValue(f"'{text}' does not exist.{hint}")


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _readable(path: Path) -> Path:
    if not path.is_file():
        raise BadValue(f"'{path}' is {'a directory' if path.is_dir() else 'no file'}")
    if not os.access(path, os.R_OK):
        raise BadValue(f"'{path}' cannot be read: permission denied")
    return path


def _packaged_names() -> list[str]:
    folder = shipped.folder("models")
    return [path.name for path in folder.glob("*.*")] if folder.is_dir() else []
