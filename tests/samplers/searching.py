"""A search without processes: what workers would record, in memory."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hpo import samplers
from hpo.ledger import AttemptRecord, TrialRecord
from hpo.samplers import Proposal, Task
from hpo.space import Categorical, Constant, Integer, ParameterSpace, Real, Vector
from hpo.space.expressions import Call, Name

#: Every kind of parameter there is.
KINDS = ParameterSpace(
    [
        Real("x", -5, 5),
        Real("lr", 1e-5, 1e-1, log=True),
        Real("drop", 0, 0.9, step=0.1),
        Real("five", 0, 1, points=5),
        Integer("layers", 1, 5),
        Real("decades", 1e-4, 1, log=True, points=5),
        Real("same", 2.0, 2.0),
        Integer("units", 16, 1024, log=True),
        Integer("powers", 1, 1000, log=True, points=4),
        Integer("one", 3, 3),
        Integer("even", 2, 20, step=2),
        Integer("width", 4, 10, transform=Call("**", (2, Name("x")))),
        Categorical("opt", ["adam", "sgd", None, True, 1.5]),
        Categorical("like", [1, 1.0, True]),
        Categorical("shape", [[1, 2], [3], "1000 500 50"]),
        Categorical("size", ["s", "m", "l"], ordered=True),
        Vector("v", [Real("", 0, 1), Integer("", 1, 9), Constant("", 7)]),
        Constant("fixed", {"a": 1}),
    ]
)
CONDITIONAL = ParameterSpace(
    [
        Categorical("model", ["a", "b"]),
        Real("x", 0, 1),
        Real("only_a", 0, 1, condition=Call("==", (Name("model"), "a"))),
        Categorical("only_b", ["p", "q", "r"], condition=Call("==", (Name("model"), "b"))),
        Integer("deep", 1, 3, condition=Call("==", (Name("only_b"), "p"))),
        Real(
            "two",
            1,
            9,
            log=True,
            condition=Call("and", (Call("==", (Name("model"), "a")), Call("<", (Name("x"), 0.5)))),
        ),
        Vector("v", [Real("", 0, 1), Integer("", 1, 9)], condition=Call(">", (Name("two"), 3))),
    ]
)
NUMBERS = ParameterSpace([Real("x", -5, 5), Real("y", -5, 5)])
FINITE = ParameterSpace([Categorical("c", ["a", "b", "c"]), Integer("n", 1, 40)])

#: Those that learn from the trials before.
LEARNING = [name for name, row in samplers.TABLE.items() if row.learns]


def options(name: str, space: ParameterSpace, directions: Sequence[str] = ("minimize",)) -> dict[str, Any]:
    """What the plan of a search would record for a sampler."""
    names = ("val_loss", *(f"other{i}" for i in range(1, len(directions))))
    task = Task(space, names, tuple(directions), n_trials=100, design_size=10)
    return dict(samplers.TABLE[name].options(task))


@dataclass
class Searching:
    """`workers` of them take trials in turn; each trial ends when its worker takes the next one."""

    name: str
    space: ParameterSpace
    objective: Callable[[dict[str, Any]], dict[str, Any]]
    workers: int = 1
    seed: int = 1
    directions: tuple[str, ...] = ("minimize",)
    fresh: bool = False
    records: dict[int, TrialRecord] = field(default_factory=dict)
    _sampler: Any = None

    def sampler(self) -> Any:
        if self._sampler is None or self.fresh:
            recorded = options(self.name, self.space, self.directions)
            self._sampler = samplers.create(self.name, self.space, recorded, self.seed)
        return self._sampler

    def propose(self, number: int) -> Proposal:
        return self.sampler().propose(list(self.records.values()), number)

    def run(self, count: int) -> list[dict[str, Any]]:
        """Take trials until there are `count` in all; return their hyperparameters."""
        for number in range(len(self.records), count):
            self.start(number, self.propose(number))
            if number + 1 >= self.workers:
                self.end(number + 1 - self.workers)
        return [self.params(number) for number in range(count)]

    def start(self, number: int, proposal: Proposal) -> None:
        """Record what a journal would give back."""
        written = json.loads(json.dumps({"params": proposal.params, "system_attrs": proposal.system_attrs}))
        attempt = AttemptRecord(1, worker="w", **written)
        self.records[number] = TrialRecord(number, {1: attempt}, {1: "w"})

    def end(self, number: int) -> None:
        event = {"e": "finished", "n": number, "k": 1, **self.objective(self.params(number))}
        self.records[number].attempts[1].finished["w"] = event

    def params(self, number: int) -> dict[str, Any]:
        params = self.records[number].params
        assert params is not None
        return params

    def values(self) -> list[float]:
        """The values so far; infinite where there is none."""
        outcomes = [record.attempts[1].outcome() or {} for _, record in sorted(self.records.items())]
        return [outcome.get("value", math.inf) for outcome in outcomes]


def sphere(params: dict[str, Any]) -> dict[str, Any]:
    """The squared distance of all numbers from 1."""
    numbers = [v for v in params.values() if isinstance(v, int | float) and not isinstance(v, bool)]
    return {"value": sum((v - 1) ** 2 for v in numbers)}


FAILURE = {"failure": {"kind": "exception", "detail": "ValueError: no"}}


def every_end(params: dict[str, Any]) -> dict[str, Any]:
    """Complete, fail, be pruned or diverge, by a hash of the hyperparameters."""
    number = sum(map(ord, json.dumps(params))) % 5
    return [sphere(params), FAILURE, {"value": 3.0, "pruned": True}, {"value": 1e14}, sphere(params)][number]
