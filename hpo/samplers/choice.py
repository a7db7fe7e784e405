"""Which sampler suits a search: the rule behind `sampler = auto`, and what each sampler cannot do.

The figures behind the rule are in docs/search.md. Nothing here imports Optuna or torch.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hpo.space import ChoiceDomain, ParameterSpace

#: Gaussian processes are fitted to all trials so far: up to so many that takes well under a second.
GP_TRIALS = 300
#: Beyond so many dimensions a Gaussian process has no lead over TPE.
GP_DIMENSIONS = 20
#: So many trials must have ended before a model is asked, or all of a smaller design.
STARTUP = 10
#: Those that begin with a design. CMA-ES and NSGA-II make generations of their own, and would know nothing of one.
DESIGNED = ("tpe", "gp")
#: Dimensions for which there are Sobol directions (Joe & Kuo 2008, as in SciPy).
SOBOL_DIMENSIONS = 21201


@dataclass(frozen=True, slots=True)
class Task:
    """What a sampler is to search. pruned: whether trials may end early. n_trials: how many there will be, if known."""

    space: ParameterSpace
    objectives: tuple[str, ...] = ("val_loss",)
    directions: tuple[str, ...] = ("minimize",)
    pruned: bool = False
    n_trials: int | None = None

    @property
    def conditional(self) -> list[str]:
        """The names of the parameters that are not in every trial."""
        return [p.name for p in self.space.parameters if p.condition is not None]

    @property
    def choices(self) -> list[str]:
        """The labels of what has no order."""
        return [label for label, domain in self.space.domains().items() if isinstance(domain, ChoiceDomain)]


def torch_is_there() -> bool:
    """Whether torch, which Optuna's Gaussian processes need, can be imported; it is not."""
    return importlib.util.find_spec("torch") is not None


def automatic(task: Task) -> tuple[str, str]:
    """Return what `sampler = auto` means for a search that learns, and why."""
    if len(task.objectives) > 1:
        return "tpe", "there are several objectives"
    if task.conditional:
        return "tpe", "not every parameter is in every trial"
    if task.pruned:
        return "tpe", "it learns from pruned trials, too"
    dimensions = len(task.space.domains())
    if dimensions > GP_DIMENSIONS:
        return "tpe", f"{dimensions} dimensions are more than the {GP_DIMENSIONS} in which Gaussian processes lead"
    if not torch_is_there():
        return "tpe", "Gaussian processes would find better values here, but they need torch, which is not installed"
    later = f"; from trial {GP_TRIALS} on TPE takes over" if (task.n_trials or GP_TRIALS + 1) > GP_TRIALS else ""
    return "gp", f"Gaussian processes find the best values in such a space{later}"


# --- what a sampler cannot do -----------------------------------------------------------------------------------------


def _gp(task: Task) -> str | None:
    if task.conditional:
        return f"needs every parameter in every trial, but {_some(task.conditional)} is conditional; sampler = tpe can"
    if not torch_is_there():
        return "needs torch, which is not installed; sampler = tpe needs nothing more"
    return None


def _cmaes(task: Task) -> str | None:
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


def _qmc(task: Task) -> str | None:
    dimensions = len(task.space.domains())
    return f"has at most {SOBOL_DIMENSIONS} dimensions, not {dimensions}" if dimensions > SOBOL_DIMENSIONS else None


_OBJECTIONS: Mapping[str, Callable[[Task], str | None]] = {"gp": _gp, "cmaes": _cmaes, "qmc": _qmc}


def objection(name: str, task: Task) -> str | None:
    """Return why a sampler cannot search this, with one that can: the end of a sentence that begins with its name."""
    object_to = _OBJECTIONS.get(name)
    return object_to(task) if object_to else None


def reservation(name: str, task: Task) -> str | None:
    """Return what a sampler can do only in part: the end of a sentence that begins with its name."""
    if task.pruned and name in ("gp", "cmaes", "nsga2"):
        return "learns nothing from pruned trials; sampler = tpe does"
    if name == "cmaes" and task.choices:
        return f"draws {_some(task.choices)} at random, since choices have no order; sampler = tpe and gp learn them"
    return None


def _some(names: list[str]) -> str:
    return ", ".join(map(repr, names[:3])) + (" …" if len(names) > 3 else "")


def _are(number: int) -> str:
    return "is one" if number == 1 else "are none"


# --- options ----------------------------------------------------------------------------------------------------------


def recorded(name: str, task: Task, design_size: int, *, known: int = 0, switches: bool = False) -> dict[str, Any]:
    """Return what `OptunaSampler` is made from: all that could change its proposals, so that another version cannot.

    known: trials of earlier experiments, which stand in for the design. switches: whether TPE follows GP in the end.
    """
    size = design_size if name in DESIGNED else 0
    options: dict[str, Any] = {
        "design_size": max(0, size - known),
        "startup": min(size, STARTUP),
        "objectives": list(task.objectives),
        "directions": list(task.directions),
        "model": {"name": name, "optuna": _arguments(name, task)},
    }
    if switches and name == "gp":
        options["later"] = {"from": GP_TRIALS, "name": "tpe", "optuna": _arguments("tpe", task)}
    return options


def _arguments(name: str, task: Task) -> dict[str, Any]:
    """The arguments of Optuna's class."""
    match name:
        case "tpe":
            # All parameters together; of conditional ones those that occur together (docs/search.md has the figures).
            joint = len(task.objectives) == 1
            grouped = joint and bool(task.conditional)
            return {"multivariate": joint, "group": grouped, "n_ei_candidates": 24, "constant_liar": True}
        case "gp":
            return {"deterministic_objective": False}
        case "cmaes":
            return {"popsize": None, "use_separable_cma": False, "with_margin": False, "lr_adapt": False}
        case "nsga2":
            size = min(50, max(10, (task.n_trials or 250) // 5))
            return {"population_size": size, "mutation_prob": None, "crossover_prob": 0.9, "swapping_prob": 0.5}
    raise ValueError(name)
