"""Where the files that travel with the package lie: models/, inputs/, workflows/."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def folder(name: str) -> Path:
    """Return the folder `name` ("models", "inputs" or "workflows").

    In an installed wheel it lies inside the package (`hpo/shipped/<name>`, mapped there by the build); in a clone,
    where nothing is mapped, at the root of the repository.
    """
    inside = _PACKAGE / "shipped" / name
    return inside if inside.is_dir() else _PACKAGE.parent / name
