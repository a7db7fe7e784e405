"""The space of hyperparameters: grids, conditions, what samplers search, and JSON."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpo.space import (
    Categorical,
    ChoiceDomain,
    Constant,
    FloatDomain,
    IntDomain,
    Integer,
    ParameterSpace,
    Real,
    Rows,
    SpaceError,
    Vector,
    from_json,
)
from hpo.space.expressions import Call, ExpressionError, Name, evaluate
from hpo.space.texts import list_in_text


def points(space: ParameterSpace) -> list[dict[str, Any]]:
    return [space.point(number) for number in range(space.size() or 0)]


def test_the_first_name_is_outermost() -> None:
    space = ParameterSpace([Categorical("a", ["x", "y"]), Integer("b", 1, 3), Constant("c", None)])
    assert [list(point.values()) for point in points(space)] == [
        ["x", 1, None], ["x", 2, None], ["x", 3, None], ["y", 1, None], ["y", 2, None], ["y", 3, None],
    ]  # fmt: skip
    assert [space.trial_id(number) for number in (0, 5)] == ["hpset_00001", "hpset_00006"]


def test_points_are_computed_from_their_number() -> None:
    space = ParameterSpace([Integer(name, 1, 10**6) for name in "abc"])
    assert space.size() == 10**18
    assert space.point(10**18 - 1) == {"a": 10**6, "b": 10**6, "c": 10**6}
    with pytest.raises(IndexError):
        space.point(10**18)
    with pytest.raises(IndexError):
        space.point(-1)


def test_reals_have_no_end_but_steps_points_and_equal_bounds_do() -> None:
    assert ParameterSpace([Real("a", 0, 1)]).size() is None
    assert [p["a"] for p in points(ParameterSpace([Real("a", 0, 0.9, step=0.1)]))] == [
        0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9,
    ]  # fmt: skip
    assert [p["a"] for p in points(ParameterSpace([Real("a", 1e-5, 1e-1, log=True, points=5)]))] == [
        1e-5, 1e-4, 1e-3, 1e-2, 1e-1,
    ]  # fmt: skip
    assert [p["a"] for p in points(ParameterSpace([Real("a", 0, 1, points=4)]))] == [0, 1 / 3, 2 / 3, 1]
    assert [p["a"] for p in points(ParameterSpace([Real("a", 0.5, 0.5)]))] == [0.5]


def test_integers_with_step_or_points() -> None:
    assert [p["a"] for p in points(ParameterSpace([Integer("a", 2, 9, step=3)]))] == [2, 5, 8]
    assert [p["a"] for p in points(ParameterSpace([Integer("a", 16, 1024, log=True, points=7)]))] == [
        16, 32, 64, 128, 256, 512, 1024,
    ]  # fmt: skip
    assert [p["a"] for p in points(ParameterSpace([Integer("a", 1, 3, points=10)]))] == [1, 2, 3]


def test_a_vector_is_a_product_of_its_own() -> None:
    space = ParameterSpace([Vector("v", [Integer("", 0, 1), Categorical("", ["a", "b"])])])
    assert [p["v"] for p in points(space)] == [[0, "a"], [0, "b"], [1, "a"], [1, "b"]]


def test_inactive_parameters_are_left_out_and_make_no_point_twice() -> None:
    sgd = Call("==", (Name("optimizer"), "sgd"))
    space = ParameterSpace(
        [Categorical("optimizer", ["adam", "sgd"]), Integer("momentum", 1, 3, condition=sgd), Categorical("z", [0, 1])]
    )
    assert points(space) == [
        {"optimizer": "adam", "z": 0}, {"optimizer": "adam", "z": 1},
        {"optimizer": "sgd", "momentum": 1, "z": 0}, {"optimizer": "sgd", "momentum": 1, "z": 1},
        {"optimizer": "sgd", "momentum": 2, "z": 0}, {"optimizer": "sgd", "momentum": 2, "z": 1},
        {"optimizer": "sgd", "momentum": 3, "z": 0}, {"optimizer": "sgd", "momentum": 3, "z": 1},
    ]  # fmt: skip


def test_conditions_may_read_later_parameters_and_see_inactive_ones_as_unknown() -> None:
    space = ParameterSpace(
        [
            Integer("a", 1, 2, condition=Call("==", (Name("b"), 2))),
            Integer("b", 1, 2),
            Constant("c", 0, condition=Call("==", (Name("a"), 1))),
            Constant("d", 0, condition=Call("!=", (Name("a"), 1))),
        ]
    )
    assert points(space) == [{"b": 1}, {"a": 1, "b": 2, "c": 0}, {"a": 2, "b": 2, "d": 0}]


def test_a_transformation_that_gives_a_value_twice_makes_one_point() -> None:
    halved = Call("//", (Name("x"), 2))
    assert points(ParameterSpace([Integer("a", 0, 5, transform=halved)])) == [{"a": 0}, {"a": 1}, {"a": 2}]


def test_whole_results_are_integers_where_the_model_may_need_them() -> None:
    power = Call("**", (2, Name("x")))
    assert repr(Integer("a", 1, 3, transform=power).value(0)) == "2"
    assert repr(Real("a", 0, 4, transform=power).finish(1.0)) == "2.0"
    assert repr(Real("a", 0, 4, transform=Call("round", (power,))).finish(1.1)) == "2"


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ([Integer("a", 1, 2), Integer("a", 1, 2)], "'a' is given twice"),
        ([Integer("a", 1, 2, condition=Name("b"))], "reads 'b', which is no parameter"),
        ([Integer("a", 1, 2, condition=Name("a"))], "depends on itself"),
    ],
)
def test_spaces_that_cannot_be(parameters: list[Any], sentence: str) -> None:
    with pytest.raises(SpaceError, match=sentence):
        ParameterSpace(parameters)


def test_conditions_that_cannot_be_computed_are_found_and_end_nothing() -> None:
    optimizer = Categorical("optimizer", ["adam", "sgd", 3])
    wrong = Call(">", (Name("optimizer"), 2))
    right = Call("and", (Call("==", (Name("optimizer"), 3)), wrong))  # the first part decides, as in Python
    space = ParameterSpace([optimizer, Constant("a", 1, condition=wrong), Constant("b", 1, condition=right)])
    assert space.condition_faults() == {"a": "'adam' > 2 cannot be compared"}
    assert points(space) == [{"optimizer": "adam"}, {"optimizer": "sgd"}, {"optimizer": 3, "a": 1, "b": 1}]


def test_conditions_on_ranges_are_tried_at_their_bounds() -> None:
    ranges = [Real("lr", 0, 1), Integer("count", 1, 10**9), Vector("shape", [Real("", 0, 1)] * 30)]
    texts = [Constant(f"{p.name}_", 1, condition=Call("<", (Name(p.name), "a"))) for p in ranges]
    numbers = [Constant(f"{p.name}__", 1, condition=Call("<", (Name(p.name), 2))) for p in ranges[:2]]
    assert list(ParameterSpace([*ranges, *texts, *numbers]).condition_faults()) == ["lr_", "count_", "shape_"]


def test_conditions_that_read_more_than_a_machine_s_numbers_are_tried_all_the_same() -> None:
    many = [Categorical(f"n{n}", list(range(1000))) for n in range(7)]
    total: Any = Name("n0")
    for one in many[1:]:
        total = Call("+", (total, Name(one.name)))
    space = ParameterSpace([*many, Constant("a", 1, condition=Call(">", (total, 5)))])
    assert (space.condition_faults(), space.never()) == ({}, [])


def test_conditions_that_read_too_much_are_an_error_not_an_endless_count() -> None:
    late = Call(">", (Call("+", (Name("a"), Name("b"))), 5))
    space = ParameterSpace([Integer("a", 1, 10**6), Integer("b", 1, 10**6), Integer("c", 1, 2, condition=late)])
    with pytest.raises(SpaceError, match="too many values"):
        space.size()


def test_a_thousand_parameters() -> None:
    space = ParameterSpace([Integer(f"p{i}", 0, 1) for i in range(1000)])
    assert space.size() == 2**1000
    assert list(space.point(5).values())[-3:] == [1, 0, 1]


# --- samplers ---------------------------------------------------------------------------------------------------------


def test_domains_are_of_types_that_every_sampler_has() -> None:
    space = ParameterSpace(
        [
            Categorical("plain", ["a", 1, None]),
            Categorical("lists", [[1, 2], [3]]),
            Categorical("alike", [1, True]),
            Categorical("ordered", [16, 32, 64], ordered=True),
            Integer("int", 1, 10, step=4),
            Integer("log", 1, 10, log=True),
            Real("real", 1, 2),
            Real("step", 0, 0.3, step=0.1),
            Vector("v", [Real("", 0, 1), Integer("", 1, 2)]),
            Constant("c", 5),
        ]
    )
    assert space.domains() == {
        "plain": ChoiceDomain(("a", 1, None)),
        "lists": ChoiceDomain((0, 1)),
        "alike": ChoiceDomain((0, 1)),
        "ordered": IntDomain(0, 2),
        "int": IntDomain(1, 9, step=4),
        "log": IntDomain(1, 10, log=True),
        "real": FloatDomain(1.0, 2.0),
        "step": IntDomain(0, 3),
        "v[0]": FloatDomain(0.0, 1.0),
        "v[1]": IntDomain(1, 2),
    }
    found = {"plain": 1, "lists": 1, "alike": 0, "ordered": 1, "int": 5, "log": 3, "real": 1.5, "step": 3, "v[0]": 0.1}
    assert space.values({**found, "v[1]": 2}) == {
        "plain": 1, "lists": [3], "alike": 1, "ordered": 32, "int": 5, "log": 3, "real": 1.5, "step": 0.3,
        "v": [0.1, 2], "c": 5,
    }  # fmt: skip


def test_a_sampler_is_asked_for_active_parameters_only() -> None:
    space = ParameterSpace(
        [Integer("a", 1, 2, condition=Call("==", (Name("b"), "on"))), Categorical("b", ["on", "off"])]
    )
    asked: list[str] = []

    def ask(label: str, domain: Any) -> Any:
        asked.append(label)
        return {"a": 1, "b": "off"}[label]

    assert space.suggest(ask) == {"b": "off"}
    assert asked == ["b"]


def test_texts_that_are_lists_reach_the_model_as_lists() -> None:
    space = ParameterSpace([Categorical("dense", ["1000 500", "1000", "3 blind mice"])])
    assert [p["dense"] for p in points(space)] == [[1000, 500], "1000", "3 blind mice"]
    assert space.read_as_lists == (("dense", "1000 500"),)
    assert space.values({"dense": "1000 500"}) == {"dense": [1000, 500]}


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("1000 500 50", [1000, 500, 50]),
        (" 1  2\t3 ", [1, 2, 3]),
        ("0.5 1e-3 -2", [0.5, 1e-3, -2]),
        ("1000", None),
        ("2020 01 05", None),
        ("3 blind mice", None),
        ("1, 2", None),
        ("+1 2", None),
        (".5 1.", None),
        ("1e999 2", None),
        ("١ ٢", None),
        ("", None),
    ],
)
def test_which_texts_are_lists(text: str, numbers: list[float] | None) -> None:
    assert repr(list_in_text(text)) == repr(numbers)


# --- expressions ------------------------------------------------------------------------------------------------------


def test_expressions_are_bounded() -> None:
    expression: Any = Name("x")
    with pytest.raises(ExpressionError, match="too large"):
        for _ in range(100):
            expression = Call("+", (expression, 1))
    expression = Name("x")
    with pytest.raises(ExpressionError, match="too large"):
        for _ in range(30):
            expression = Call("+", (expression, expression))
    assert evaluate(Call("**", (10, Call("**", (10, 10)))), {}) == math.inf


def test_a_transformation_without_a_finite_result_is_refused() -> None:
    with pytest.raises(SpaceError, match="gives nan at"):
        Real("a", 1, 2, transform=Call("log", (Call("-", (Name("x"),)),)))
    with pytest.raises(SpaceError, match="needs numbers"):
        Categorical("a", ["x"], transform=Call("exp", (Name("x"),)))


# --- properties -------------------------------------------------------------------------------------------------------

CHOICES = st.lists(st.none() | st.booleans() | st.integers(0, 3) | st.text("ab", max_size=2), min_size=1, max_size=3)


@st.composite
def small_spaces(draw: st.DrawFn) -> ParameterSpace:
    """Finite spaces of up to five parameters, some conditional on any other, some transformed."""
    parameters: list[Any] = []
    for number in range(draw(st.integers(1, 5))):
        name = f"p{number}"
        other = Name(f"p{draw(st.integers(0, max(0, number - 1)))}")
        test = draw(st.sampled_from(["==", "!="]))
        condition = Call(test, (other, draw(st.integers(0, 2)))) if number and draw(st.booleans()) else None
        transform = draw(st.sampled_from([None, Call("%", (Name("x"), 2)), Call("*", (Name("x"), 2))]))
        if draw(st.booleans()):
            low = draw(st.integers(0, 2))
            high = low + draw(st.integers(0, 3))
            parameters.append(Integer(name, low, high, condition=condition, transform=transform))
        else:
            choices = {(type(c), c): c for c in draw(CHOICES)}
            parameters.append(Categorical(name, list(choices.values()), condition=condition))
    return ParameterSpace(draw(st.permutations(parameters)))


@given(small_spaces())
@settings(deadline=None)
def test_a_grid_has_every_point_once_in_order(space: ParameterSpace) -> None:
    listed = points(space)
    texts = [json.dumps(point) for point in listed]
    assert len(set(texts)) == len(texts)
    assert texts == [json.dumps(space.point(number)) for number in range(len(listed))]
    everything = {json.dumps(point) for point in drawn(space)}
    assert set(texts) == everything


def drawn(space: ParameterSpace) -> list[dict[str, Any]]:
    """All that any sampler can make of a space, by trying all values of all domains."""
    found: list[dict[str, Any]] = [{}]
    for label, domain in space.domains().items():
        values = list(domain.choices) if isinstance(domain, ChoiceDomain) else list(range(domain.low, domain.high + 1))  # type: ignore[union-attr,arg-type]
        found = [{**point, label: value} for point in found for value in values]
    return [space.values(point) for point in found]


@given(small_spaces())
@settings(deadline=None)
def test_a_space_survives_json(space: ParameterSpace) -> None:
    again = from_json(json.loads(json.dumps(space.to_json())))
    assert json.dumps(again.to_json()) == json.dumps(space.to_json())


# --- rows -------------------------------------------------------------------------------------------------------------


def test_rows_are_decoded_when_asked_for() -> None:
    rows = Rows(b'{"id": "a", "x": 1.0, "y": "1 2"}\n{"x": 10000000000000000000000}\n', ["x", "y"])
    assert rows.size() == 2
    assert [rows.trial_id(0), rows.trial_id(1)] == ["a", "hpset_00002"]
    assert rows.point(0) == {"x": 1.0, "y": [1, 2]}
    assert rows.point(1) == {"x": 10**22}
    assert from_json(rows.to_json(), rows.data) == rows
    with pytest.raises(IndexError):
        rows.point(2)
    with pytest.raises(ValueError, match="rows"):
        from_json(rows.to_json(), b'{"x": 1}\n')
