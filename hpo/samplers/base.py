"""What every sampler does: say which hyperparameters trial `number` gets; and what the table says of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from hpo.ledger import TrialRecord
from hpo.space import ChoiceDomain, Domain, ParameterSpace, Space
from hpo.told import FOUND, Told


@dataclass(frozen=True, slots=True)
class Proposal:
    """The hyperparameters of a trial, and what the sampler wants to find again in its record.

    note: what whoever looks at the trial should know of how it was proposed; None where all is as usual.
    """

    params: Mapping[str, Any]
    system_attrs: Mapping[str, Any] = field(default_factory=dict)
    note: str | None = None


class Sampler(Protocol):
    """Pure: the same history and number give the same proposal, in whatever process."""

    #: Whether `propose` looks at the history; a worker merges the journals before each proposal only if so.
    needs_history: bool

    def propose(self, history: Sequence[TrialRecord], number: int) -> Proposal:
        """Return the hyperparameters of trial `number` (from 0), given what is known of the others."""
        ...


@dataclass(frozen=True, slots=True)
class Task:
    """What a sampler is to search. pruned: whether trials may end early. n_trials: how many there will be, if known.

    design_size: trials of the initial design. warm: trials of earlier experiments. known: those of them that stand in
    for the design. switches: whether another sampler may take over in the end.
    """

    space: ParameterSpace
    objectives: tuple[str, ...] = ("val_loss",)
    directions: tuple[str, ...] = ("minimize",)
    pruned: bool = False
    n_trials: int | None = None
    design_size: int = 0
    warm: int = 0
    known: int = 0
    switches: bool = False

    @property
    def learnt_from(self) -> int | None:
        """How many trials there will be in the end, with those of earlier experiments; None when that is not known."""
        return None if self.n_trials is None else self.n_trials + self.warm

    @property
    def conditional(self) -> list[str]:
        """The names of the parameters that are not in every trial."""
        return [p.name for p in self.space.parameters if p.condition is not None]

    @property
    def choices(self) -> list[str]:
        """The labels of what has no order."""
        return [label for label, domain in self.space.domains().items() if isinstance(domain, ChoiceDomain)]


#: space, recorded options, seed, trials of earlier experiments -> sampler.
Maker: TypeAlias = Callable[[Space, Mapping[str, Any], int, Sequence[Told]], Sampler]
#: The end of a sentence that begins with the sampler's name, or None.
Remark: TypeAlias = Callable[[Task], str | None]


@dataclass(frozen=True, slots=True)
class Row:
    """A sampler: how it is made, and what the plan of a search has to know of it.

    learns: whether it looks at other trials. designed: whether it begins with a design. objection: why it cannot search
    this, with a sampler that can. reservation: what it can do only in part. options: all that could change its
    proposals, as JSON types; `make` gets them from the record, so that another version of ours changes nothing.
    library: the distribution whose version is recorded with them.
    """

    make: Maker
    learns: bool = False
    designed: bool = False
    objection: Remark = lambda _task: None
    reservation: Remark = lambda _task: None
    options: Callable[[Task], Mapping[str, Any]] = lambda _task: {}
    library: str | None = None


def found(space: ParameterSpace, ask: Callable[[str, Domain], Any]) -> Proposal:
    """Return the proposal that `ask` gives for each active domain, with the answers recorded as they were."""
    answers: dict[str, Any] = {}

    def noted(label: str, domain: Domain) -> Any:
        answers[label] = ask(label, domain)
        return answers[label]

    params = space.suggest(noted)
    return Proposal(params, {FOUND: answers})
