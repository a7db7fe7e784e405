"""How good the best of 100 trials is: our samplers, Optuna's in one process, SMAC3, random.

    python benchmarks/quality.py [--seeds 10] [--samplers auto,optuna-tpe] [--problems branin] [-o results.jsonl]

Each cell is the median over the seeds of best value - optimum. One worker, and 10 asynchronous ones whose trials take
lognormal times (sigma 0.8): a worker proposes when its trial has ended, and knows which others run. With -o every run
is appended to a file as it ends, and runs that are in it already are not repeated.

SMAC3 is no dependency: `uv run --with smac python benchmarks/quality.py --samplers smac3 -o results.jsonl` runs it.
"""

from __future__ import annotations

import argparse
import heapq
import importlib.util
import itertools
import json
import math
import random
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import optuna

from hpo import samplers
from hpo.ledger import AttemptRecord, TrialRecord
from hpo.samplers import choice
from hpo.space import Categorical, ChoiceDomain, Domain, FloatDomain, IntDomain, Integer, ParameterSpace, Real
from hpo.space.expressions import Call, Name

TRIALS = 100
WORKERS = (1, 10)
SIGMA = 0.8


@dataclass(frozen=True)
class Problem:
    space: ParameterSpace
    value: Callable[[Mapping[str, Any]], float]
    optimum: float


def _branin(p: Mapping[str, Any]) -> float:
    """Branin 1972, in the form of Dixon & Szegoe 1978."""
    x, y = p["x"], p["y"]
    b, c, t = 5.1 / (4 * math.pi**2), 5 / math.pi, 1 / (8 * math.pi)
    return (y - b * x**2 + c * x - 6) ** 2 + 10 * (1 - t) * math.cos(x) + 10


_A = ((10, 3, 17, 3.5, 1.7, 8), (0.05, 10, 17, 0.1, 8, 14), (3, 3.5, 1.7, 10, 17, 8), (17, 8, 0.05, 10, 0.1, 14))
_P = (
    (0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886),
    (0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991),
    (0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650),
    (0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381),
)


def _hartmann6(p: Mapping[str, Any]) -> float:
    """Hartman 1973."""
    x = [p[f"x{i}"] for i in range(6)]
    inner = (sum(a * (v - q) ** 2 for a, v, q in zip(_A[i], x, _P[i], strict=True)) for i in range(4))
    return -sum(alpha * math.exp(-s) for alpha, s in zip((1, 1.2, 3, 3.2), inner, strict=True))


def _rosen4log(p: Mapping[str, Any]) -> float:
    """Rosenbrock 1960 in four dimensions, each searched on a logarithmic scale."""
    x = [p[f"x{i}"] for i in range(4)]
    return sum(100 * (b - a**2) ** 2 + (1 - a) ** 2 for a, b in itertools.pairwise(x))


def _mixed(p: Mapping[str, Any]) -> float:
    """Like the tuning of a network: a learning rate, a width, a kind of optimiser, a dropout."""
    best = {"adam": -3.0, "sgd": -1.5, "rmsprop": -3.5}[p["opt"]]
    penalty = {"adam": 0.0, "sgd": 0.2, "rmsprop": 0.1}[p["opt"]]
    return (
        (math.log10(p["lr"]) - best) ** 2
        + 0.3 * (math.log2(p["units"]) - 7) ** 2
        + (p["drop"] - 0.3) ** 2 * 4
        + penalty
    )


def _conditional(p: Mapping[str, Any]) -> float:
    """Like the tuning of a support vector machine: which kernel decides which parameters there are."""
    value = 0.1 * (math.log10(p["c"]) - 1) ** 2
    match p["kernel"]:
        case "rbf":
            return value + 0.3 * (math.log10(p["gamma"]) + 2) ** 2
        case "poly":
            return value + 0.1 + 0.05 * (p["degree"] - 3) ** 2 + 0.2 * (p["coef"] - 0.5) ** 2
    return value + 0.4


def _layers(p: Mapping[str, Any]) -> float:
    """Like the choice of an architecture: as many widths as there are layers, each with a best value of its own."""
    widths = (p[f"width{i}"] for i in range(1, p["layers"] + 1))
    misfit = sum(0.1 * (math.log2(width) - 4 - i) ** 2 for i, width in enumerate(widths))
    return 0.2 * (p["layers"] - 3) ** 2 + misfit + (math.log10(p["lr"]) + 3) ** 2


def _is(kernel: str) -> Any:
    return Call("==", (Name("kernel"), kernel))


PROBLEMS = {
    "branin": Problem(ParameterSpace([Real("x", -5, 10), Real("y", 0, 15)]), _branin, 0.39788735772973816),
    "hartmann6": Problem(ParameterSpace([Real(f"x{i}", 0, 1) for i in range(6)]), _hartmann6, -3.322368011391339),
    "rosen4log": Problem(ParameterSpace([Real(f"x{i}", 0.1, 10, log=True) for i in range(4)]), _rosen4log, 0.0),
    "mixed": Problem(
        ParameterSpace(
            [
                Real("lr", 1e-6, 1, log=True),
                Integer("units", 8, 2048, log=True),
                Categorical("opt", ["sgd", "adam", "rmsprop"]),
                Real("drop", 0, 0.9),
            ]
        ),
        _mixed,
        0.0,
    ),
    "conditional": Problem(
        ParameterSpace(
            [
                Categorical("kernel", ["linear", "rbf", "poly"]),
                Real("c", 1e-3, 1e5, log=True),
                Real("gamma", 1e-6, 1e2, log=True, condition=_is("rbf")),
                Integer("degree", 1, 8, condition=_is("poly")),
                Real("coef", -2, 2, condition=_is("poly")),
            ]
        ),
        _conditional,
        0.0,
    ),
    "layers": Problem(
        ParameterSpace(
            [
                Integer("layers", 1, 5),
                Real("lr", 1e-6, 1, log=True),
                *(
                    Integer(f"width{i}", 4, 1024, log=True, condition=Call(">=", (Name("layers"), i)))
                    for i in range(1, 6)
                ),
            ]
        ),
        _layers,
        0.0,
    ),
}


class Searcher(Protocol):
    """Whoever proposes: `ask` begins a trial, `tell` ends it."""

    def ask(self, number: int) -> Mapping[str, Any]: ...

    def tell(self, number: int, value: float) -> None: ...


class Ours:
    """A sampler of the table, with what journals would give back."""

    def __init__(self, name: str, space: ParameterSpace, seed: int, **optuna_options: Any) -> None:
        task = samplers.Task(space, n_trials=TRIALS, design_size=10)
        if name == "auto":
            name, _ = choice.automatic(task)
        options = samplers.TABLE[name].options(task)
        if optuna_options:
            options["model"]["optuna"] |= optuna_options
        self._sampler = samplers.create(name, space, options, seed)
        self._records: dict[int, TrialRecord] = {}

    def ask(self, number: int) -> Mapping[str, Any]:
        proposal = self._sampler.propose(list(self._records.values()), number)
        attempt = AttemptRecord(1, params=dict(proposal.params), system_attrs=dict(proposal.system_attrs))
        self._records[number] = TrialRecord(number, {1: attempt})
        return proposal.params

    def tell(self, number: int, value: float) -> None:
        self._records[number].attempts[1].finished["w"] = {"e": "finished", "n": number, "k": 1, "value": value}


class Optunas:
    """One study in one process, as Optuna's own users have it."""

    def __init__(self, sampler: Callable[[int], Any], space: ParameterSpace, seed: int) -> None:
        self._space = space
        self._study = optuna.create_study(sampler=sampler(seed))
        self._trials: dict[int, optuna.Trial] = {}

    def ask(self, number: int) -> Mapping[str, Any]:
        self._trials[number] = trial = self._study.ask()
        return self._space.suggest(lambda label, domain: _suggest(trial, label, domain))

    def tell(self, number: int, value: float) -> None:
        self._study.tell(self._trials[number], value)


def _suggest(trial: optuna.Trial, label: str, domain: Domain) -> Any:
    match domain:
        case ChoiceDomain(choices):
            return trial.suggest_categorical(label, choices)
        case IntDomain(low, high, log, step):
            return trial.suggest_int(label, low, high, log=log, step=step)
        case FloatDomain(low, high, log):
            return trial.suggest_float(label, low, high, log=log)


class Smac:
    """SMAC3's random forest (`HyperparameterOptimizationFacade`), what CANDLE's mlrMBO is the R form of.

    By its ask and tell, with its own options: the forest is grown anew for every eighth proposal. Of running trials it
    knows only that they are not to be repeated.
    """

    def __init__(self, space: ParameterSpace, seed: int) -> None:
        import ConfigSpace
        import smac
        import smac.model.random_forest

        self._smac, self._trials = smac, {}
        self._folder = tempfile.TemporaryDirectory()
        scenario = smac.Scenario(
            _configspace(ConfigSpace, space, seed),
            n_trials=TRIALS,
            deterministic=True,
            seed=seed,
            output_directory=Path(self._folder.name),
        )
        facade = smac.HyperparameterOptimizationFacade
        self._facade = facade(
            scenario,
            _told_elsewhere,
            model=self._forest(scenario.configspace, seed),
            initial_design=facade.get_initial_design(scenario, n_configs=10),
            logging_level=40,
        )

    def _forest(self, config: Any, seed: int) -> Any:
        """The facade's own, without its room for a million leaves, which would take most of the time."""
        return self._smac.model.random_forest.RandomForest(
            config,
            log_y=True,
            n_trees=10,
            ratio_features=1.0,
            min_samples_split=2,
            min_samples_leaf=1,
            max_leaf_nodes=TRIALS,
            n_jobs=1,
            seed=seed,
        )

    def ask(self, number: int) -> Mapping[str, Any]:
        self._trials[number] = self._facade.ask()
        return {k: getattr(v, "item", lambda v=v: v)() for k, v in dict(self._trials[number].config).items()}

    def tell(self, number: int, value: float) -> None:
        self._facade.tell(self._trials[number], self._smac.runhistory.TrialValue(cost=value), save=False)


def _told_elsewhere(config: Any, seed: int) -> float:
    """The function that SMAC would call; it looks at its arguments' names."""
    raise NotImplementedError


def _configspace(configspace: Any, space: ParameterSpace, seed: int) -> Any:
    config = configspace.ConfigurationSpace(seed=seed)
    for label, domain in space.domains().items():
        config.add(_of_configspace(configspace, label, domain))
    for parameter in space.parameters:
        match parameter.condition:
            case Call("==", (Name(other), value)):
                config.add(configspace.EqualsCondition(config[parameter.name], config[other], value))
            case Call(">=", (Name(other), value)) if value > config[other].lower:
                config.add(configspace.GreaterThanCondition(config[parameter.name], config[other], value - 1))
    return config


def _of_configspace(configspace: Any, label: str, domain: Domain) -> Any:
    match domain:
        case ChoiceDomain(choices):
            return configspace.CategoricalHyperparameter(label, list(choices))
        case IntDomain(low, high, log):
            return configspace.UniformIntegerHyperparameter(label, low, high, log=log)
        case FloatDomain(low, high, log):
            return configspace.UniformFloatHyperparameter(label, low, high, log=log)


SEARCHERS: dict[str, Callable[[ParameterSpace, int], Searcher]] = {
    "auto": lambda space, seed: Ours("auto", space, seed),
    "tpe": lambda space, seed: Ours("tpe", space, seed),
    "tpe-univariate": lambda space, seed: Ours("tpe", space, seed, multivariate=False),
    "tpe-multivariate": lambda space, seed: Ours("tpe", space, seed, multivariate=True),
    "tpe-group": lambda space, seed: Ours("tpe", space, seed, multivariate=True, group=True),
    "cmaes": lambda space, seed: Ours("cmaes", space, seed),
    "nsga2": lambda space, seed: Ours("nsga2", space, seed),
    "qmc": lambda space, seed: Ours("qmc", space, seed),
    "random": lambda space, seed: Ours("random", space, seed),
    "optuna-tpe": lambda space, seed: Optunas(lambda s: optuna.samplers.TPESampler(seed=s), space, seed),
    "optuna-tpe-univariate": lambda space, seed: Optunas(
        lambda s: optuna.samplers.TPESampler(seed=s, multivariate=False), space, seed
    ),
    "optuna-tpe-group": lambda space, seed: Optunas(
        lambda s: optuna.samplers.TPESampler(seed=s, multivariate=True, group=True), space, seed
    ),
    "optuna-gp": lambda space, seed: Optunas(lambda s: optuna.samplers.GPSampler(seed=s), space, seed),
    "optuna-cmaes": lambda space, seed: Optunas(lambda s: optuna.samplers.CmaEsSampler(seed=s), space, seed),
    "smac3": Smac,
}


def search(searcher: Searcher, problem: Problem, workers: int, seed: int) -> dict[str, Any]:
    """Run one search; return its regret and the seconds spent on proposals."""
    dice = random.Random(f"durations/{seed}")
    running: list[tuple[float, int, float]] = []
    best, now, spent = math.inf, 0.0, 0.0
    for number in range(TRIALS + workers):
        if number >= min(workers, TRIALS) and running:
            now, ended, value = heapq.heappop(running)
            searcher.tell(ended, value)
            best = min(best, value)
        if number < TRIALS:
            began = time.perf_counter()
            value = problem.value(searcher.ask(number))
            spent += time.perf_counter() - began
            heapq.heappush(running, (now + dice.lognormvariate(0, SIGMA), number, value))
    return {"regret": best - problem.optimum, "seconds": spent}


def possible(name: str, problem: Problem) -> bool:
    """Whether the searcher can search it, and is there."""
    if name == "smac3":
        return importlib.util.find_spec("smac") is not None
    ours = name.removeprefix("optuna-").partition("-")[0]
    return name in ("auto", "optuna-gp") or samplers.TABLE[ours].objection(samplers.Task(problem.space)) is None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--samplers", default=",".join(SEARCHERS))
    parser.add_argument("--problems", default=",".join(PROBLEMS))
    parser.add_argument("-o", dest="output", type=Path)
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    _one_thread()
    if "smac3" in args.samplers and importlib.util.find_spec("smac") is None:
        print("smac3 is left out: it needs `uv run --with smac`", file=sys.stderr)
    done = _read(args.output)
    for seed in range(args.seeds):
        for problem in args.problems.split(","):
            for name in args.samplers.split(","):
                for workers in WORKERS:
                    key = (name, problem, workers, seed)
                    if key not in done and possible(name, PROBLEMS[problem]):
                        made = SEARCHERS[name](PROBLEMS[problem].space, seed)
                        done[key] = search(made, PROBLEMS[problem], workers, seed)
                        _append(args.output, key, done[key])
    print_table(done)


def _one_thread() -> None:
    try:
        import torch
    except ImportError:
        return
    torch.set_num_threads(1)


def _read(file: Path | None) -> dict[tuple[str, str, int, int], dict[str, Any]]:
    lines = file.read_text().splitlines() if file and file.exists() else []
    return {tuple(record["key"]): record["result"] for record in map(json.loads, lines)}


def _append(file: Path | None, key: tuple[str, str, int, int], result: dict[str, Any]) -> None:
    print(*key, f"{result['regret']:.3g} {result['seconds']:.1f} s", file=sys.stderr)
    if file:
        with file.open("a") as stream:
            stream.write(json.dumps({"key": key, "result": result}) + "\n")


def print_table(done: Mapping[tuple[str, str, int, int], Mapping[str, Any]]) -> None:
    """Median regret with one worker / with 10, and seconds for a proposal; (n): a cell that has only n seeds."""
    problems = [name for name in PROBLEMS if any(key[1] == name for key in done)]
    seeds = 1 + max(key[3] for key in done)
    print(f"| median of {seeds} seeds | {' | '.join(problems)} | s per proposal |")
    print("|---" * (len(problems) + 2) + "|")
    for name in SEARCHERS:
        cells = [" / ".join(_median(done, (name, one, workers), seeds) for workers in WORKERS) for one in problems]
        seconds = [result["seconds"] / TRIALS for key, result in done.items() if key[0] == name]
        if seconds:
            print(f"| {name} | {' | '.join(cells)} | {statistics.median(seconds):.3f} |")


def _median(done: Mapping[Any, Mapping[str, Any]], cell: tuple[str, str, int], seeds: int) -> str:
    values = [result["regret"] for key, result in done.items() if key[:3] == cell]
    fewer = f" ({len(values)})" if len(values) < seeds else ""
    return f"{statistics.median(values):.2g}{fewer}" if values else "-"


if __name__ == "__main__":
    main()
