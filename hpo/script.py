"""What can be known of a model script without running it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Script:
    """A model script as the runners need it; frozen into `experiment.json`.

    path: where the user keeps it; its `__file__`, and the file that tracebacks name.
    runner: a name of `registry.RUNNERS`.
    form: "run" (`run(hyperparams)`), "canonical" (`initialize_parameters` and `run(params)`) or "plain" (reads
    the global dictionary); empty where the language has only one form.
    preload: the installed modules that it imports before its first other statement, in order.
    snapshot: absolute original path -> the copy whose bytes are run in its place (the script and its local modules).
    """

    path: Path
    runner: str = "python"
    form: str = ""
    preload: tuple[str, ...] = ()
    snapshot: Mapping[Path, Path] = field(default_factory=dict)
