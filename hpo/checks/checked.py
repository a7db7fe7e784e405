"""An input file and its script, checked."""

from __future__ import annotations

from dataclasses import dataclass

from hpo.checks.cluster import LOCAL, Destination
from hpo.errors import Complaint
from hpo.inputfile import InputFile
from hpo.script import Analysis
from hpo.search.plan import Search


@dataclass(frozen=True, slots=True)
class Checked:
    """What a search (or a single run) is made from; nothing about it is an error.

    search: the plan; None for a single run.
    warnings: what may be a mistake. notes: remarks that `hpo check` makes and others need not.
    destination: where the workers run.
    """

    inputfile: InputFile
    analysis: Analysis
    search: Search | None = None
    warnings: tuple[Complaint, ...] = ()
    notes: tuple[Complaint, ...] = ()
    destination: Destination = LOCAL

    @property
    def n_trials(self) -> int | None:
        """How many trials there will be; None when it is not known."""
        if self.inputfile.single_run:
            return 1
        return self.search.n_trials if self.search else None

    @property
    def sampler(self) -> str:
        """Who proposes hyperparameters; of a single run, who would in a search."""
        return str(self.search.sampler["name"] if self.search else self.inputfile.control["workflow"])

    @property
    def listed_trials(self) -> int:
        """How many trials are known beforehand, since they are the points of a grid."""
        return (self.n_trials or 0) if self.search and self.sampler == "grid" else 0
