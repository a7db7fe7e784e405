"""The interpreter that `python_bin_path` names."""

from __future__ import annotations

import os
from pathlib import Path

_NAMES = ("python3", "python")


def python_at(place: Path) -> Path | None:
    """Return the Python that a path means, or None when there is none.

    The path is an interpreter, a folder that holds one (`…/envs/mine/bin`), or an environment (`…/envs/mine`).
    """
    candidates = [place, *(folder / name for folder in (place, place / "bin") for name in _NAMES)]
    return next((path for path in candidates if path.is_file() and os.access(path, os.X_OK)), None)
