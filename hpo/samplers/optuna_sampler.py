"""Optuna's samplers behind `propose`: for each proposal a study rebuilt from the history, and a sampler made anew.

So a proposal is a function of the history, the number and the seed, in whatever process. What Optuna would keep in its
storage for later (the state of CMA-ES, NSGA-II's generations) travels in the record of the trial that it was kept for.
"""

from __future__ import annotations

import contextlib
import copy
import random
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, NSGAIISampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState, create_trial

from hpo.ledger import TrialRecord
from hpo.samplers.base import Proposal, found
from hpo.samplers.design import Design
from hpo.samplers.optuna_models import MODELS
from hpo.samplers.spread import spread
from hpo.samplers.units import draw
from hpo.samplers.untried import key, untried
from hpo.space import ChoiceDomain, Domain, FloatDomain, IntDomain, ParameterSpace, Space, SpaceError
from hpo.told import Kind, Told, softened, tell, without_diverged, worst

#: The key of `Proposal.system_attrs` for what Optuna keeps with a trial.
OPTUNA = "optuna"
#: What TPE and GP keep for other processes while a trial is proposed; its parameters say the same.
_REDUNDANT = ("tpe:relative_params", "gp:relative_params")
#: The constraint that failed trials violate. Every trial carries it as soon as one has failed: GP needs equal keys.
_CONSTRAINT = "failed"
#: Where NSGA-II keeps the generation of a trial. Those of earlier experiments are parents of the first.
_GENERATION = "NSGAIISampler:generation"
_FIRST_GENERATION = {OPTUNA: {_GENERATION: 0}}
#: CMA-ES begins at the best tenth, rounded down, of the earlier trials: of fewer it would be none.
_LEAST_SOURCES = 10
#: In more dimensions the determinant of their covariance, 0.01 to this power at least, is no double any more.
_MOST_SOURCE_DIMENSIONS = 150

#: So many characters of what Optuna raised are kept.
_SAID = 300
#: All whole numbers up to here are doubles.
_EXACT = 2**53

_STATES = {
    Kind.COMPLETED: TrialState.COMPLETE,
    Kind.FAILED: TrialState.COMPLETE,
    Kind.PRUNED: TrialState.PRUNED,
    Kind.RUNNING: TrialState.RUNNING,
}


def make(name: str, seed: int, **recorded: Any) -> BaseSampler:
    """Make Optuna's sampler `name` of `MODELS`, with the arguments that were recorded."""
    model = MODELS[name]
    made: BaseSampler = getattr(optuna.samplers, model.sampler)(seed=seed, **model.fixed, **recorded)
    return made


class _Kept(FrozenTrial):
    """A record that does not change. Studies copy what is added to them, deeply, which took most of a proposal."""

    def __deepcopy__(self, memo: dict[int, Any]) -> _Kept:
        return copy.copy(self)


class OptunaSampler:
    """Proposes `design_size` points of a design, then what the model says.

    options, as recorded: design_size; block (so many of its points fill the space together); startup (so many trials
    must have ended before the model is asked, until then the design goes on); directions; objectives; model: name and
    optuna (the arguments of Optuna's class); later: another such, with `from`, the number of trials from which on it
    takes over.
    warm: trials of earlier experiments, which the model knows from the beginning.
    """

    needs_history = True

    def __init__(self, space: Space, options: Mapping[str, Any], seed: int, warm: Sequence[Told] = ()) -> None:
        assert isinstance(space, ParameterSpace)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._space = space
        self._seed = seed
        self._options = options
        self._warm = [replace(one, attrs=_FIRST_GENERATION) for one in warm]
        self._signs = [-1 if direction == "maximize" else 1 for direction in options["directions"]]
        self._design = Design(space, max(_block(options), options["startup"]), seed)
        self._distributions = {label: _distribution(domain) for label, domain in space.domains().items()}
        self._keys: dict[int, str] = {}
        self._frozen: dict[int, tuple[Any, FrozenTrial]] = {}

    def propose(self, history: Sequence[TrialRecord], number: int) -> Proposal:
        """Return the hyperparameters of trial `number`, and what Optuna wants to find again."""
        others = [*self._warm, *(one for one in tell(history, self._options["objectives"]) if one.number != number)]
        told = without_diverged(others, self._signs)
        ended = sum(one.kind is not Kind.RUNNING for one in told)
        if number < self._options["design_size"] or ended < self._options["startup"]:
            return self._untried(self._design.propose(number), told, number)
        recorded = self._recorded(number)
        try:
            proposal = self._modelled(recorded, told, number)
        except Exception as error:  # whatever it is: a worker that ended would leave the trial to others, who end too
            said = " ".join(str(error).split())[:_SAID]
            why = f"the sampler failed ({type(error).__name__}{': ' if said else ''}{said}): drawn at random"
            proposal = replace(draw(self._space, self._seed, number), note=why)
        return self._untried(proposal, told, number) if MODELS[recorded["name"]].designed else proposal

    def _modelled(self, recorded: Mapping[str, Any], told: Sequence[Told], number: int) -> Proposal:
        """What the model says. Raises whatever Optuna does."""
        gaussian = MODELS[recorded["name"]].gaussian
        if gaussian:
            told = softened(told, self._signs, self._everywhere(told))
        with _quiet(), _one_thread() if gaussian else contextlib.nullcontext():
            return self._ask(self._study(recorded, told, number), number)

    def _everywhere(self, told: Sequence[Told]) -> list[Told]:
        """Trials with values that lie everywhere: the first; with earlier experiments, in any order, some of these."""
        valued, few = [one for one in told if one.values], self._options["startup"]
        if not self._warm:
            return valued[:few]
        early = [one for one in valued if one.number < self._options["design_size"]]
        return spread(early, self._space.domains(), self._signs[0], few)

    def _untried(self, proposal: Proposal, told: Sequence[Told], number: int) -> Proposal:
        """The proposal, or in its place a point that no trial has had, where there are such points.

        Of a trial that is repeated nothing new would be learnt, in most cases. In a space without an end models repeat
        what lies in a corner, or in a branch that has one point.
        """
        had = {self._key(one) for one in told}
        if key(proposal.params) not in had or (self._size is not None and len(had) >= self._size):
            return proposal
        return untried(self._space, proposal, had, random.Random(f"{self._seed}/untried/{number}"))  # noqa: S311

    def _key(self, one: Told) -> str:
        """Of what the model got: a transformation may give the same for different values that were found."""
        if one.number not in self._keys:
            self._keys[one.number] = key(self._space.values(one.found))
        return self._keys[one.number]

    @cached_property
    def _size(self) -> int | None:
        try:
            return self._space.size()
        except SpaceError:  # too many to be counted
            return None

    def _recorded(self, number: int) -> Mapping[str, Any]:
        """The name and the arguments of the model that is asked."""
        later = self._options.get("later")
        recorded: Mapping[str, Any] = later if later and number >= later["from"] else self._options["model"]
        return recorded

    def _study(self, recorded: Mapping[str, Any], told: Sequence[Told], number: int) -> Study:
        seed = int(np.random.SeedSequence([self._seed, number]).generate_state(1)[0])
        begin = self._begin(told) if MODELS[recorded["name"]].sources else {}
        sampler = make(recorded["name"], seed, **recorded["optuna"], **begin)
        study = optuna.create_study(sampler=sampler, directions=self._options["directions"])
        failed_values = worst(told, self._signs)
        constrained = any(one.kind is Kind.FAILED for one in told)
        study.add_trials([self._freeze(one, failed_values, constrained) for one in told])
        if isinstance(sampler, NSGAIISampler):
            _choose_parents(sampler, study)
        return study

    def _begin(self, told: Sequence[Told]) -> dict[str, Any]:
        """Where CMA-ES begins, when there are trials of earlier experiments: among the best of them (Nomura 2021).

        Those are the best tenth. Fewer than ten are repeated, so that it is the best one.
        """
        known = [one for one in told if one.number < 0 and one.kind is Kind.COMPLETED]
        if not known:
            return {}
        numbers = {
            label: distribution
            for label, distribution in self._distributions.items()
            if not isinstance(distribution, CategoricalDistribution) and not distribution.single()
        }
        if len(numbers) > _MOST_SOURCE_DIMENSIONS:
            return {}
        sources = [
            create_trial(
                value=one.values[0], params={label: one.found[label] for label in numbers}, distributions=numbers
            )
            for one in known
        ]
        return {"source_trials": sources * -(-_LEAST_SOURCES // len(sources))}

    def _freeze(self, one: Told, failed_values: Sequence[float], constrained: bool) -> FrozenTrial:
        """Optuna's record of a trial; what cannot change any more is kept for the next proposal."""
        key = (one.kind, constrained, one.values or failed_values, len(one.found), len(one.reports))
        kept = self._frozen.get(one.number)
        if kept is not None and kept[0] == key and one.kind is not Kind.RUNNING:
            return kept[1]
        failed = one.kind is Kind.FAILED
        finished = one.kind in (Kind.COMPLETED, Kind.FAILED)
        frozen = create_trial(
            state=_STATES[one.kind],
            values=(failed_values if failed else one.values) if finished else None,
            params=dict(one.found),
            distributions={label: self._distributions[label] for label in one.found},
            system_attrs=dict(one.attrs.get(OPTUNA, {})),
            intermediate_values=dict(one.reports),
            constraints={_CONSTRAINT: 1.0 if failed else -1.0} if constrained else None,
        )
        frozen.__class__ = _Kept
        self._frozen[one.number] = key, frozen
        return frozen

    def _ask(self, study: Study, number: int) -> Proposal:
        trial = study.ask()
        try:
            proposal = found(self._space, lambda label, domain: _suggest(trial, label, domain))
        except SpaceError:  # a transformation that is infinite at an edge, where models like to go; a draw is inside
            return draw(self._space, self._seed, number)
        kept = study.get_trials(deepcopy=False)[-1].system_attrs
        attrs = {key: value for key, value in kept.items() if not key.startswith(_REDUNDANT)}
        return Proposal(proposal.params, {**proposal.system_attrs, **({OPTUNA: attrs} if attrs else {})})


def _block(options: Mapping[str, Any]) -> int:
    """Those that would never be tried are none of a block: a design may be given many more points than trials."""
    size = int(options["design_size"])
    return min(size, int(options.get("block", size)))


def _distribution(domain: Domain) -> BaseDistribution:
    match domain:
        case ChoiceDomain(choices):
            return CategoricalDistribution(choices)
        case IntDomain(low, high, log) if _is_beyond_doubles(domain):
            return FloatDistribution(float(low), float(high), log)
        case IntDomain(low, high, log, step):
            return IntDistribution(low, high, log, step)
        case FloatDomain(low, high, log, step):
            return FloatDistribution(low, high, log, step)


def _is_beyond_doubles(domain: IntDomain) -> bool:
    """Whether it has whole numbers that no double is: to Optuna, which keeps doubles, they would be others."""
    return max(abs(domain.low), abs(domain.high)) > _EXACT


def _suggest(trial: optuna.Trial, label: str, domain: Domain) -> Any:
    match domain:
        case ChoiceDomain(choices):
            return trial.suggest_categorical(label, choices)
        case IntDomain(low, high, log, step) if _is_beyond_doubles(domain):
            value = int(trial.suggest_float(label, float(low), float(high), log=log))
            return low + (min(max(value, low), high) - low) // step * step
        case IntDomain(low, high, log, step):
            return trial.suggest_int(label, low, high, log=log, step=step)
        case FloatDomain(low, high, log, step):
            return trial.suggest_float(label, low, high, log=log, step=step)


def _choose_parents(sampler: NSGAIISampler, study: Study) -> None:
    """Let the study know the parents of each generation, from the first.

    The sampler would ask for them from the last on, each by a call within the call, which ends at Python's limit.
    """
    trials = study.get_trials(deepcopy=False)
    for generation in range(1, 1 + max((one.system_attrs.get(_GENERATION, 0) for one in trials), default=0)):
        sampler.get_parent_population(study, generation)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Optuna warns of what is experimental at every proposal; the choice was made and is recorded."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """GP's linear algebra on one thread: the same sums everywhere, and the node's other cores are the trials'."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
