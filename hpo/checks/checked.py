"""An input file and its script, checked."""

from __future__ import annotations

from dataclasses import dataclass

from hpo import registry
from hpo.errors import Complaint
from hpo.inputfile import InputFile
from hpo.script import Analysis
from hpo.space import SpaceError


@dataclass(frozen=True, slots=True)
class Checked:
    """What a search (or a single run) is made from; nothing about it is an error.

    warnings: what may be a mistake. notes: remarks that `hpo check` makes and others need not.
    """

    inputfile: InputFile
    analysis: Analysis
    warnings: tuple[Complaint, ...] = ()
    notes: tuple[Complaint, ...] = ()

    @property
    def n_trials(self) -> int | None:
        """How many trials there will be; None when it is not known."""
        if self.inputfile.single_run:
            return 1
        try:
            return self.inputfile.space.size()
        except SpaceError:
            return None

    @property
    def sampler(self) -> str:
        """Who proposes hyperparameters; "auto" leaves it to the workflow."""
        control = self.inputfile.control
        automatic = control["sampler"] == "auto" and control["workflow"] in registry.SAMPLERS
        return str(control["workflow"] if automatic else control["sampler"])
