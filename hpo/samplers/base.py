"""What every sampler does: say which hyperparameters trial `number` gets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from hpo.ledger import TrialRecord
from hpo.space import Domain, ParameterSpace
from hpo.told import FOUND


@dataclass(frozen=True, slots=True)
class Proposal:
    """The hyperparameters of a trial, and what the sampler wants to find again in its record."""

    params: Mapping[str, Any]
    system_attrs: Mapping[str, Any] = field(default_factory=dict)


class Sampler(Protocol):
    """Pure: the same history and number give the same proposal, in whatever process."""

    #: Whether `propose` looks at the history; a worker merges the journals before each proposal only if so.
    needs_history: bool

    def propose(self, history: Sequence[TrialRecord], number: int) -> Proposal:
        """Return the hyperparameters of trial `number` (from 0), given what is known of the others."""
        ...


def found(space: ParameterSpace, ask: Callable[[str, Domain], Any]) -> Proposal:
    """Return the proposal that `ask` gives for each active domain, with the answers recorded as they were."""
    answers: dict[str, Any] = {}

    def noted(label: str, domain: Domain) -> Any:
        answers[label] = ask(label, domain)
        return answers[label]

    params = space.suggest(noted)
    return Proposal(params, {FOUND: answers})
