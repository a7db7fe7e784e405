"""Optuna's samplers, as the plan of a search knows them: one row for each. Nothing here imports Optuna or torch."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from hpo.samplers.base import Remark, Row, Sampler, Task
from hpo.samplers.units import count
from hpo.space import ChoiceDomain, Space
from hpo.told import Told

#: Gaussian processes are fitted to all trials so far: up to so many that takes well under a second.
GP_TRIALS = 300
#: Optuna's Gaussian process lists the values of every range that has an end of them: so many are no burden.
GP_VALUES = 100_000
#: So many trials must have ended before a model is asked, or all of a smaller design.
STARTUP = 10


@dataclass(frozen=True, slots=True)
class Model:
    """One of Optuna's samplers.

    sampler: the name of its class in `optuna.samplers`. arguments: those of the class that are recorded. fixed: those
    that are not. designed: whether it begins with a design and repeats no point. objection, reservation: see `Row`.
    gaussian: whether it is a Gaussian process, which sees values that span orders of magnitude softened, and computes
    on one thread. sources: whether it begins among the best of earlier experiments' trials (`source_trials`).
    """

    sampler: str
    arguments: Callable[[Task], dict[str, Any]]
    fixed: Mapping[str, Any] = field(default_factory=dict)
    designed: bool = False
    objection: Remark = lambda _task: None
    reservation: Remark = lambda _task: None
    gaussian: bool = False
    sources: bool = False


def torch_is_there() -> bool:
    """Whether torch, which Optuna's Gaussian processes need, can be imported; it is not."""
    return importlib.util.find_spec("torch") is not None


def too_fine(task: Task) -> tuple[str, int] | None:
    """Return a range with more values than a Gaussian process may list, and how many they are; None without one."""
    counts = ((label, count(domain) or 0) for label, domain in task.space.domains().items())
    return next(((label, number) for label, number in counts if number > GP_VALUES), None)


# --- arguments --------------------------------------------------------------------------------------------------------


def _tpe(task: Task) -> dict[str, Any]:
    """All parameters together; of conditional ones those that occur together (docs/search.md has the figures)."""
    joint = len(task.objectives) == 1
    grouped = joint and bool(task.conditional)
    return {"multivariate": joint, "group": grouped, "n_ei_candidates": 24, "constant_liar": True}


def _gp(_task: Task) -> dict[str, Any]:
    return {"deterministic_objective": False}


def _cmaes(_task: Task) -> dict[str, Any]:
    return {"popsize": None, "use_separable_cma": False, "with_margin": False, "lr_adapt": False}


def _nsga2(task: Task) -> dict[str, Any]:
    size = min(50, max(10, (task.n_trials or 250) // 5))
    return {"population_size": size, "mutation_prob": None, "crossover_prob": 0.9, "swapping_prob": 0.5}


# --- what a sampler cannot do -----------------------------------------------------------------------------------------


def _gp_cannot(task: Task) -> str | None:
    if task.conditional:
        return f"needs every parameter in every trial, but {_some(task.conditional)} is conditional; sampler = tpe can"
    if not torch_is_there():
        return "needs torch, which is not installed; sampler = tpe needs nothing more"
    if (fine := too_fine(task)) is not None:
        label, number = fine
        return f"lists the values of a range, and {label!r} has {number}; sampler = tpe can, or a range of reals"
    return None


def _cmaes_cannot(task: Task) -> str | None:
    others = "sampler = tpe and nsga2 can" if len(task.objectives) > 1 else "sampler = tpe can"
    if len(task.objectives) > 1:
        return f"has one objective; {others}"
    if task.conditional:
        return f"needs every parameter in every trial, but {_some(task.conditional)} is conditional; {others}"
    domains = task.space.domains().values()
    numbers = sum(not isinstance(domain, ChoiceDomain) and domain.low < domain.high for domain in domains)
    if numbers < 2:
        return f"needs two or more parameters that are numbers, and there {_are(numbers)}; {others}"
    return None


def _unpruned(task: Task) -> str | None:
    return "learns nothing from pruned trials; sampler = tpe does" if task.pruned else None


def _few(task: Task) -> str | None:
    if task.pruned or (task.learnt_from is not None and task.learnt_from <= GP_TRIALS):
        return _unpruned(task)
    return f"fits all trials anew for each, slowly from some {GP_TRIALS} on; sampler = auto then goes on with tpe"


def _numbers_only(task: Task) -> str | None:
    if task.choices and not task.pruned:
        return f"draws {_some(task.choices)} at random, since choices have no order; sampler = tpe and gp learn them"
    return _unpruned(task)


def _some(names: list[str]) -> str:
    return ", ".join(map(repr, names[:3])) + (" …" if len(names) > 3 else "")


def _are(number: int) -> str:
    return "is one" if number == 1 else "are none"


# --- the table --------------------------------------------------------------------------------------------------------

#: What these two cannot model is drawn at random; the user was told when the search was planned.
_ALONE = {"warn_independent_sampling": False}

#: CMA-ES and NSGA-II make generations of their own, and would know nothing of a design. When Optuna is asked there are
#: trials enough, so that there is no start-up of its own.
MODELS: Mapping[str, Model] = {
    "tpe": Model("TPESampler", _tpe, {"n_startup_trials": 0}, designed=True),
    "gp": Model("GPSampler", _gp, {"n_startup_trials": 1, **_ALONE}, True, _gp_cannot, _few, gaussian=True),
    "cmaes": Model(
        "CmaEsSampler",
        _cmaes,
        {"n_startup_trials": 1, **_ALONE},
        objection=_cmaes_cannot,
        reservation=_numbers_only,
        sources=True,
    ),
    "nsga2": Model("NSGAIISampler", _nsga2, reservation=_unpruned),
}


def row(name: str) -> Row:
    """Return the row of `hpo.samplers.TABLE` for one of these."""
    model = MODELS[name]
    return Row(
        _make,
        learns=True,
        designed=model.designed,
        objection=model.objection,
        reservation=model.reservation,
        options=partial(_options, name),
        library="optuna",
    )


def _make(space: Space, options: Mapping[str, Any], seed: int, warm: Sequence[Told]) -> Sampler:
    from hpo.samplers.optuna_sampler import OptunaSampler  # imports Optuna: only who needs it pays

    return OptunaSampler(space, options, seed, warm)


def _options(name: str, task: Task) -> dict[str, Any]:
    """What `OptunaSampler` is made from. Where the sampler may switch, TPE follows GP in the end."""
    size = task.design_size if MODELS[name].designed else 0
    options: dict[str, Any] = {
        "design_size": max(0, size - task.known),
        "block": size if task.n_trials is None else min(size, task.n_trials),
        "startup": min(size, STARTUP),
        "objectives": list(task.objectives),
        "directions": list(task.directions),
        "model": {"name": name, "optuna": MODELS[name].arguments(task)},
    }
    if task.switches and name == "gp":
        options["later"] = {"from": GP_TRIALS - task.warm, "name": "tpe", "optuna": MODELS["tpe"].arguments(task)}
    return options
