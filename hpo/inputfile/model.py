"""`InputFile`: what an input file says, resolved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpo.errors import Complaint
from hpo.inputfile.keywords import KEYWORDS
from hpo.space import Space


@dataclass(frozen=True, slots=True)
class InputFile:
    """What an input file says, resolved.

    path: of the file, absolute. text: its bytes as given. control: every &control keyword by its canonical name, of the
    type that the table says, defaults filled in. given: the keywords that were given -> where ("vae.in:3",
    "command line"). defaults: the hyperparameters of &default_model, names as spelt. space: what is searched.
    script: `model_script`, an existing file, absolute; None when a command is given in its place. files: others that
    were read, absolute. warnings: what may be a mistake. notes: what has no effect in this run.
    """

    path: Path
    text: bytes
    control: Mapping[str, Any]
    given: Mapping[str, str]
    defaults: Mapping[str, Any]
    space: Space
    script: Path | None
    files: tuple[Path, ...] = ()
    warnings: tuple[Complaint, ...] = ()
    notes: tuple[Complaint, ...] = ()

    @property
    def single_run(self) -> bool:
        """Whether the defaults are run once, here (run_workflow = 0 or use_candle = 0), instead of a search."""
        return not self.control["run_workflow"]

    @property
    def dry_run(self) -> bool:
        """Whether everything is checked and shown, and nothing started."""
        return bool(self.control["dry_run"])

    def where(self, name: str, file: Path) -> tuple[Path | None, int | None]:
        """Return the place of a keyword for a complaint: `file` and line, nothing when it was on the command line.

        file: the input file as its user named it; alone, when the keyword was not given.
        """
        if name not in self.given:
            return file, None
        _, _, line = self.given[name].rpartition(":")
        return (file, int(line)) if line.isdigit() else (None, None)

    def shown(self, name: str) -> str:
        """Return a keyword's value as a user would write it, a walltime as HH:MM:SS; "-" when there is none."""
        return KEYWORDS[name].shown(self.control[name])
