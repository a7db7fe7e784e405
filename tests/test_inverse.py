"""From hyperparameters back to what a sampler would have found."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samplers.searching import CONDITIONAL, KINDS

from hpo import samplers
from hpo.search.inverse import Inverse
from hpo.space import Categorical, Integer, ParameterSpace, Real, Vector
from hpo.space.expressions import Call, Name
from hpo.told import FOUND

TRANSFORMED = ParameterSpace(
    [
        Real("lr", -5, -1, transform=Call("**", (10, Name("x")))),
        Real("falls", 0.5, 2, transform=Call("/", (1, Name("x")))),
        Integer("width", 3, 9, transform=Call("**", (2, Name("x")))),
        Real("log", 0, 1, transform=Call("log", (Name("x"),))),
        Real("hyperbola", 0, 1, transform=Call("/", (1, Name("x")))),
        Real("logit", 0, 1, transform=Call("log", (Call("/", (Name("x"), Call("-", (1, Name("x"))))),))),
    ]
)


@given(st.integers(0, 10**6))
@pytest.mark.parametrize("space", [KINDS, CONDITIONAL, TRANSFORMED])
def test_it_leads_back_to_the_same_hyperparameters(space, number):
    params = samplers.create("random", space, {}, 1).propose((), number).params
    found = Inverse(space).found(params)
    assert found is not None
    again = space.values(found)
    assert again.keys() == params.keys()
    for name, value in params.items():
        assert again[name] == pytest.approx(value) if isinstance(value, float) else again[name] == value


def test_what_was_recorded_is_found():
    proposal = samplers.create("random", CONDITIONAL, {}, 1).propose((), 3)
    assert Inverse(CONDITIONAL).found(proposal.params) == proposal.system_attrs[FOUND]


@pytest.mark.parametrize(
    "params",
    [
        {"n": 5},  # nothing less
        {"n": 5, "c": "a", "more": 1},  # nothing else
        {"n": 11, "c": "a"},
        {"n": 5.5, "c": "a"},
        {"n": 5, "c": "z"},
        {"n": "five", "c": "a"},
    ],
)
def test_what_the_space_cannot_give_does_not_fit(params):
    assert Inverse(ParameterSpace([Integer("n", 1, 10), Categorical("c", ["a", "5"])])).found(params) is None


@pytest.mark.parametrize("value", [1, 1.0, True, "1", None])
def test_values_that_look_alike_are_told_apart(value):
    inverse = Inverse(ParameterSpace([Categorical("c", [1, 1.0, True, "1", None])]))
    found = inverse.found({"c": value})
    assert found is not None
    again = ParameterSpace([Categorical("c", [1, 1.0, True, "1", None])]).values(found)["c"]
    assert (type(again), again) == (type(value), value)


@pytest.mark.parametrize(
    ("params", "names"),
    [
        ({"x": 2.0, "model": "a", "only_a": 0.5}, (["x"], [])),
        ({"x": 2.0, "model": "z", "only_a": 0.5}, (["model", "x"], [])),
        ({"model": "z", "only_a": 0.5}, (["model"], ["x"])),
        ({"x": 0.5, "model": "a"}, (["conditions"], [])),
        ({"x": 0.5, "model": "a", "only_a": 0.5, "only_b": "p"}, (["conditions"], [])),
    ],
)
def test_it_names_all_that_does_not_fit(params, names):
    inverse = Inverse(CONDITIONAL)
    assert inverse.found(params) is None
    assert inverse.misfits(params) == names


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        (Real("x", 0, 1, transform=Call("log", (Name("x"),))), 0.5),
        (Real("x", -1, 2, transform=Call("/", (1, Name("x")))), 0.1),
        (Integer("x", -5, 9, transform=Call("/", (1, Name("x")))), 9.0),
    ],
)
def test_what_a_transformation_that_is_infinite_somewhere_cannot_give_does_not_fit(parameter, value):
    inverse = Inverse(ParameterSpace([parameter]))
    assert inverse.found({"x": value}) is None
    assert inverse.misfits({"x": value}) == (["x"], [])


def test_whole_numbers_of_which_one_gives_nothing_finite_are_found():
    inverse = Inverse(ParameterSpace([Integer("x", -5, 9, transform=Call("/", (1, Name("x"))))]))
    assert inverse.found({"x": 0.25}) == {"x": 4}


@pytest.mark.parametrize(
    ("parameter", "value", "searched"),
    [
        (Integer("x", 0, 2**31 - 1), 2**31 - 1, 2**31 - 1),
        (Integer("x", 0, 2**31 - 1), 1e9, 10**9),
        (Integer("x", -5, 10**30, step=3), 10**30 - 1, None),
        (Integer("x", -5, 10**30, step=3), 10**30 - 3, 10**30 - 3),
        (Integer("x", 1, 10**6, log=True), 200_001, 200_001),
        (Integer("x", 1, 10**6), 200_001.5, None),
        (Integer("x", 1, 10**6), 10**6 + 1, None),
        (Integer("x", 1, 10**6), "many", None),
        (Real("x", 0, 1, step=1e-6), 0.700001, 700_001),
        (Real("x", 0, 1, step=1e-6), 0.7000015, None),
        (Real("x", 0, 1, step=1e-15), 1.7e308, None),
        (Vector("x", [Integer("", 0, 10**9), Real("", 0, 1, step=1e-9)]), [10**9, 0.5], [10**9, 500_000_000]),
        (Integer("x", 1, 500_000, transform=Call("*", (2, Name("x")))), 800_000, 400_000),
    ],
)
def test_values_far_within_wide_ranges_are_found(parameter, value, searched):
    found = Inverse(ParameterSpace([parameter])).found({"x": value})
    expected = searched if isinstance(searched, list) else [searched]
    assert found is None if searched is None else [*(found or {}).values()] == expected


@pytest.mark.parametrize("value", [10**400, -(10**400), 1e400, [10**400], {"a": 10**400}])
@pytest.mark.parametrize("parameter", [Integer("x", 1, 9), Real("x", 0, 1), Categorical("x", [1, "a", [1]])])
def test_a_number_that_no_double_can_hold_does_not_fit(parameter, value):
    assert Inverse(ParameterSpace([parameter])).found({"x": value}) is None
