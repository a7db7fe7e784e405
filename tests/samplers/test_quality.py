"""A sampler rebuilt for each proposal finds as good values as Optuna's own does in one process that lives on.

Without what Optuna keeps with its trials, CMA-ES and NSGA-II would draw at random, some 40 times worse here.
"""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Callable

import optuna
import pytest
from samplers.searching import Searching, options, sphere

from hpo.samplers.optuna_models import MODELS
from hpo.samplers.optuna_sampler import make
from hpo.space import ParameterSpace, Real

SPACE = ParameterSpace([Real(name, -5, 5) for name in "abcd"])
SEEDS = 3


def ours(name: str, count: int, seed: int) -> list[float]:
    search = Searching(name, SPACE, sphere, seed=seed)
    search.run(count)
    return search.values()


def optunas(name: str, count: int, seed: int) -> list[float]:
    recorded = options(name, SPACE)
    sampler = make(name, seed, **recorded["model"]["optuna"])
    study = optuna.create_study(sampler=sampler)
    for _ in range(count):
        trial = study.ask()
        study.tell(trial, sphere({label: trial.suggest_float(label, -5, 5) for label in SPACE.names})["value"])
    return [trial.value for trial in study.trials if trial.value is not None]


def converged(values: list[float]) -> float:
    """The mean of the last quarter: tells a search that converges from one that does not."""
    return statistics.fmean(values[-len(values) // 4 :])


#: How long a search is and what of it is measured, where 160 trials would take too long, or would be too few.
OTHERWISE: dict[str, tuple[int, Callable[[list[float]], float]]] = {"tpe": (60, converged), "gp": (20, min)}


@pytest.mark.parametrize("name", MODELS)
def test_rebuilding_costs_no_quality(name: str):
    count, measure = OTHERWISE.get(name, (160, converged))
    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def typical(values: Callable[[str, int, int], list[float]], name: str = name) -> float:
        return statistics.median(measure(values(name, count, seed)) for seed in range(SEEDS))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rebuilt, alive = typical(ours), typical(optunas)
    assert rebuilt < 2 * alive + 0.5
    assert rebuilt < typical(ours, "random") / 2
