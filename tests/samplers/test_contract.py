"""What every sampler of the table does. A new row is tested by being there."""

from __future__ import annotations

import json
import random
import statistics

import pytest
from samplers.searching import CONDITIONAL, FINITE, KINDS, LEARNING, NUMBERS, Searching, every_end, options, sphere

from hpo import samplers
from hpo.samplers import Proposal, Task
from hpo.samplers.spread import spread
from hpo.samplers.untried import key, untried
from hpo.search.inverse import Inverse
from hpo.space import Categorical, Integer, ParameterSpace, Real
from hpo.space.expressions import Call, Name
from hpo.told import FOUND, Kind, Told, softened

SPACES = {"kinds": KINDS, "conditional": CONDITIONAL, "numbers": NUMBERS, "finite": FINITE}
CASES = [
    pytest.param(name, space, id=f"{name}-{label}")
    for name, row in samplers.TABLE.items()
    for label, space in SPACES.items()
    if (label == "finite" if name == "grid" else not row.objection(Task(space)))
]


def count(name: str) -> int:
    """Beyond the design, and not long for Gaussian processes."""
    return 13 if name == "gp" else 30


@pytest.mark.parametrize("name", samplers.TABLE)
def test_those_that_look_at_the_history_are_those_that_learn(name: str):
    made = samplers.create(name, FINITE, options(name, FINITE), 1)
    assert made.needs_history == (name in LEARNING)


@pytest.mark.parametrize("workers", [1, 8])
@pytest.mark.parametrize(("name", "space"), CASES)
def test_every_proposal_is_a_point_of_the_space(name: str, space: ParameterSpace, workers: int):
    search = Searching(name, space, every_end, workers)
    for params in search.run(count(name)):
        assert Inverse(space).found(params) is not None, params


@pytest.mark.parametrize(("name", "space"), CASES)
def test_it_can_go_on_from_any_point_in_another_process(name: str, space: ParameterSpace):
    """A sampler that has seen everything and one that is made for each proposal say the same."""
    through = Searching(name, space, every_end, 3)
    resumed = Searching(name, space, every_end, 3, fresh=True)
    assert json.dumps(through.run(count(name))) == json.dumps(resumed.run(count(name)))


@pytest.mark.parametrize("name", [case.values[0] for case in CASES if case.id and case.id.endswith("numbers")])
def test_workers_do_not_repeat_each_other(name: str):
    """Eight workers that know the same of the others propose eight different points."""
    search = Searching(name, NUMBERS, sphere, 8)
    search.run(14)
    proposals = {json.dumps(search.propose(number).params) for number in range(14, 22)}
    assert len(proposals) == 8


@pytest.mark.parametrize("name", [case.values[0] for case in CASES if case.id and case.id.endswith("numbers")])
def test_the_seed_decides(name: str):
    first, again, other = (Searching(name, NUMBERS, sphere, seed=seed).run(14) for seed in (1, 1, 2))
    assert first == again
    assert not [a for a, b in zip(first, other, strict=True) if a == b]


@pytest.mark.parametrize("name", LEARNING)
def test_when_everything_has_failed_the_search_goes_on(name: str):
    search = Searching(name, NUMBERS, lambda _: {"failure": {"kind": "exception", "detail": "no"}})
    assert len({json.dumps(p) for p in search.run(14)}) == 14


@pytest.mark.parametrize("name", [n for n in LEARNING if not samplers.TABLE[n].objection(Task(NUMBERS, ("a", "b")))])
def test_several_objectives(name: str):
    def objective(params: dict[str, float]) -> dict[str, object]:
        if params["x"] < -4:
            return {"failure": {"kind": "exception", "detail": "no"}}
        return {"value": params["x"] ** 2, "metrics": {"other1": -((params["x"] - 2) ** 2)}}

    search = Searching(name, NUMBERS, objective, 2, directions=("minimize", "maximize"))
    assert len(search.run(14)) == 14


@pytest.mark.parametrize("name", [n for n in LEARNING if not samplers.TABLE[n].objection(Task(NUMBERS, ("a", "b")))])
def test_an_objective_may_be_any_whole_number_that_is_near_a_double(name: str):
    def objective(params: dict[str, float]) -> dict[str, object]:
        return {"value": params["x"] ** 2, "metrics": {"other1": 2**70 if params["x"] < 0 else 10**30}}

    search = Searching(name, NUMBERS, objective, 2, directions=("minimize", "minimize"))
    search.run(14)
    assert search.propose(14).note is None


@pytest.mark.parametrize("name", LEARNING)
def test_what_optuna_raises_ends_no_search(name: str):
    """The point is drawn in its place, the same in whatever process, and the proposal says so."""
    search = Searching(name, NUMBERS, sphere)
    search.run(12)
    history = list(search.records.values())
    broken = {**options(name, NUMBERS), "model": {"name": name, "optuna": {"none of its arguments": 1}}}
    first, again = (samplers.create(name, NUMBERS, broken, 1).propose(history, 12) for _ in range(2))
    assert first == again
    assert (first.note or "").startswith("the sampler failed (TypeError: ")
    assert (first.note or "").endswith("): drawn at random")
    assert dict(first.params) == dict(samplers.create("random", NUMBERS, {}, 1).propose((), 12).params)
    assert search.propose(12).note is None


def test_a_search_of_very_many_generations_goes_on():
    recorded = options("nsga2", NUMBERS)
    recorded["model"]["optuna"]["population_size"] = 2
    search = Searching("nsga2", NUMBERS, sphere)
    for number in range(1500):
        point = samplers.create("random", NUMBERS, {}, 1).propose((), number)
        kept = {"optuna": {"NSGAIISampler:generation": number // 2}}
        search.start(number, Proposal(point.params, {**point.system_attrs, **kept}))
        search.end(number)
    proposal = samplers.create("nsga2", NUMBERS, recorded, 1).propose(list(search.records.values()), 1500)
    assert proposal.system_attrs["optuna"] == {"NSGAIISampler:generation": 750}


@pytest.mark.parametrize("name", ["tpe", "gp", "cmaes", "nsga2"])
def test_a_transformation_may_be_infinite_at_the_edge_where_the_best_lies(name: str):
    space = ParameterSpace([Real("x", 0, 1, transform=Call("log", (Name("x"),))), Real("y", 0, 1)])
    search = Searching(name, space, lambda p: {"value": p["x"] + p["y"]})
    assert len(search.run(20)) == 20


@pytest.mark.parametrize("name", [name for name in samplers.TABLE if name not in ("grid", "gp")])
def test_a_transformation_may_be_infinite_at_a_value_within_the_range(name: str):
    space = ParameterSpace(
        [
            Integer("x", -5, 9, transform=Call("/", (1, Name("x")))),
            Integer("z", -3, 2, transform=Call("/", (1, Name("x")))),
            Real("y", 0, 1),
        ]
    )
    for params in Searching(name, space, lambda p: {"value": p["x"]}).run(40):
        assert Inverse(space).found(params) is not None


@pytest.mark.parametrize("high", [2**31 - 1, 10**18, 2**63 - 1, 10**30])
@pytest.mark.parametrize("name", [name for name in samplers.TABLE if name not in ("grid", "gp")])
def test_ranges_of_very_many_values_are_searched(name: str, high: int):
    space = ParameterSpace(
        [Integer("n", 0, high), Integer("third", 0, high, step=3), Integer("log", 1, high, log=True), Real("x", 0, 1)]
    )
    for params in Searching(name, space, lambda p: {"value": -p["n"] / high - p["third"] / high}, 2).run(24):
        assert 0 <= params["n"] <= high
        assert 1 <= params["log"] <= high
        assert params["third"] in range(0, high + 1, 3)


# -- what is known beforehand ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LEARNING)
def test_trials_of_an_earlier_search_are_learnt_from(name: str):
    """The first generation of NSGA-II are their children, CMA-ES begins among the best of them."""
    space = ParameterSpace([Real(f"x{i}", -5, 5) for i in range(3)])
    draws = samplers.create("random", space, {}, 9)
    known = [draws.propose((), number) for number in range(60)]
    warm = [
        Told(-1 - n, Kind.COMPLETED, one.system_attrs[FOUND], (sphere(dict(one.params))["value"],))
        for n, one in enumerate(known)
    ]
    recorded = {**options(name, space), "design_size": 0, "startup": 0}
    count = 5 if name == "gp" else 12
    first = [
        sphere(dict(samplers.create(name, space, recorded, seed, warm).propose((), 0).params))["value"]
        for seed in range(count)
    ]
    assert sorted(first)[count // 2] < sorted(one.values[0] for one in warm)[len(warm) // 4]


@pytest.mark.parametrize("count", [1, 2, 5, 9, 10])
@pytest.mark.parametrize("name", LEARNING)
def test_few_trials_of_an_earlier_search_are_enough_to_begin(name: str, count: int):
    warm = [Told(-1 - n, Kind.COMPLETED, {"x": 1 + n / 5, "y": -2.0}, (float(n),)) for n in range(count)]
    recorded = samplers.TABLE[name].options(Task(NUMBERS, n_trials=50, design_size=10, known=count))
    made = samplers.create(name, NUMBERS, recorded, 1, warm)
    assert len({json.dumps(made.propose((), number).params) for number in range(3)}) == 3


def test_cmaes_begins_at_the_best_of_few():
    """Diverged ones are none of them."""
    values = [3.0, 1.0, 2.0, 1e12]
    warm = [Told(-1 - n, Kind.COMPLETED, {"x": n - 3.0, "y": n - 3.0}, (value,)) for n, value in enumerate(values)]
    made = samplers.create("cmaes", NUMBERS, options("cmaes", NUMBERS), 1, warm)
    xs = [made.propose((), number).params["x"] for number in range(40)]
    assert abs(statistics.median(xs) + 2) < 0.5


def test_cmaes_begins_in_the_middle_of_a_space_of_very_many_dimensions():
    space = ParameterSpace([Real(f"x{i}", 0, 1) for i in range(200)])
    warm = [Told(-1, Kind.COMPLETED, dict.fromkeys(space.names, 0.2), (1.0,))]
    params = samplers.create("cmaes", space, options("cmaes", space), 1, warm).propose((), 0).params
    assert abs(statistics.fmean(params.values()) - 0.5) < 0.05


@pytest.mark.parametrize("directions", [("minimize",), ("maximize",)])
def test_what_earlier_trials_say_does_not_depend_on_their_order(directions: tuple[str, ...]):
    """A table of results begins with the best ones; values here span five orders of magnitude."""
    sign = 1 if directions == ("minimize",) else -1
    draws = [samplers.create("random", NUMBERS, {}, 9).propose((), number).system_attrs[FOUND] for number in range(40)]
    valued = [(found, sign * 10 ** abs(found["x"])) for found in draws]
    orders = [valued, sorted(valued, key=lambda pair: sign * pair[1])]
    told = [
        [Told(-1 - n, Kind.COMPLETED, found, (value,)) for n, (found, value) in enumerate(order)] for order in orders
    ]
    few, others = (spread(one, NUMBERS.domains(), sign, 10) for one in told)
    assert [one.values for one in few] == [one.values for one in others]
    worst = [max(sign * one.values[0] for one in softened(some, [sign], few)) for some in told]
    assert worst[0] == worst[1] < 1e4


def test_spread_trials_lie_everywhere_where_the_others_crowd():
    draws = samplers.create("random", NUMBERS, {}, 9)
    crowd = [{"x": 3 + n / 1000, "y": 3.0} for n in range(80)]
    points = [*crowd, *(draws.propose((), number).system_attrs[FOUND] for number in range(20))]
    told = [Told(-1 - n, Kind.COMPLETED, one, ((one["x"] - 3) ** 2,)) for n, one in enumerate(points)]
    few = spread(told, NUMBERS.domains(), 1, 10)
    assert len({(one.found["x"], one.found["y"]) for one in few}) == 10
    assert not [one for one in few if one.found in crowd]


@pytest.mark.parametrize(("warm", "takes_over"), [(0, 300), (120, 180)])
def test_earlier_trials_count_for_when_tpe_takes_over(warm: int, takes_over: int):
    task = Task(NUMBERS, n_trials=400, design_size=10, warm=warm, switches=True)
    assert samplers.TABLE["gp"].options(task)["later"]["from"] == takes_over


def test_a_design_of_very_many_points_is_no_larger_than_the_search():
    recorded = samplers.TABLE["tpe"].options(Task(NUMBERS, n_trials=12, design_size=10**9))
    made = samplers.create("tpe", NUMBERS, recorded, 1)
    points = [made.propose((), number).params for number in range(24)]  # and again as many, when it goes on
    for name in NUMBERS.names:
        for block in (points[:12], points[12:]):
            assert sorted(int((point[name] + 5) / 10 * 12) for point in block) == list(range(12))


# -- points that have been tried ---------------------------------------------------------------------------------------

SMALL = ParameterSpace([Categorical("c", ["a", "b"]), Integer("n", 1, 3), Integer("k", 2, 8, step=3)])


@pytest.mark.parametrize("workers", [1, 8])
@pytest.mark.parametrize("name", [name for name, row in samplers.TABLE.items() if row.designed])
def test_no_point_is_repeated_while_others_are_left(name: str, workers: int):
    search = Searching(name, SMALL, sphere, workers)
    points = [json.dumps(params) for params in search.run(18)]
    assert len(set(points)) == 18 == SMALL.size()
    assert len(search.run(20)) == 20  # then they are repeated


@pytest.mark.parametrize("workers", [1, 4])
def test_nor_is_one_in_a_space_without_an_end(workers: int):
    """The best point lies in a corner, where a Gaussian process goes again and again."""
    space = ParameterSpace([Real("x", 0, 1), Integer("k", 0, 12)])
    search = Searching("gp", space, lambda p: {"value": 0.02 * p["k"] - p["x"]}, workers)
    points = [json.dumps(params) for params in search.run(24)]
    assert json.dumps({"x": 1.0, "k": 0}) in points
    assert len(set(points)) == 24
    assert [json.dumps(p) for p in Searching("gp", space, search.objective, workers).run(24)] == points


#: Points that chance hardly finds: few of many draws give them, or they are the last ones left.
RARE = {
    "several values give one point": ParameterSpace(
        [Integer("x", 1, 80, transform=Call("ceil", (Call("/", (Name("x"), 4.0)),)))]
    ),
    "logarithmic": ParameterSpace([Integer("n", 1, 400, log=True)]),
    "conditional": ParameterSpace(
        [
            Categorical("c", ["a", "b", "c"]),
            Integer("n", 1, 150, log=True, condition=Call("==", (Name("c"), "b"))),
            Real("same", 2.0, 2.0),
        ]
    ),
}


@pytest.mark.parametrize("label", RARE)
def test_no_point_is_left_out_because_it_is_rare(label: str):
    """The model is not asked: its proposals are repeated points nearly always, which others stand in for."""
    space = RARE[label]
    size = space.size()
    assert size is not None
    had: set[str] = set()
    for number in range(size):
        tried = samplers.create("random", space, {}, 1).propose((), number)
        proposal = untried(space, tried, had, random.Random(number))
        assert Inverse(space).found(proposal.params) is not None
        had.add(key(proposal.params))
    assert len(had) == size


def test_points_at_an_infinite_edge_are_passed_over():
    rounded = Call("floor", (Call("sqrt", (Call("-", (Call("log", (Name("x"),)),)),)),))
    space = ParameterSpace([Real("x", 0, 1, transform=rounded)])
    tried = samplers.create("random", space, {}, 1).propose((), 0)
    had = {key({"x": value}) for value in range(20)} | {key({"x": float(value)}) for value in range(20)}
    assert untried(space, tried, had, random.Random(0)) == tried  # there is no other


def test_points_are_told_apart_by_what_the_model_gets():
    search = Searching("tpe", RARE["several values give one point"], sphere)
    assert {params["x"] for params in search.run(20)} == set(range(1, 21))
