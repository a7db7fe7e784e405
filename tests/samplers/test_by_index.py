"""Samplers that count: random draws, the Sobol sequence, and the initial design."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samplers.searching import CONDITIONAL, KINDS, NUMBERS

from hpo import samplers
from hpo.samplers.design import Design
from hpo.samplers.units import count, place, value_at
from hpo.space import Categorical, ChoiceDomain, FloatDomain, IntDomain, Integer, ParameterSpace, Real

units = st.floats(0, 1, exclude_max=True)


@given(units, st.integers(-1000, 1000), st.integers(0, 50), st.integers(1, 7))
def test_whole_numbers_lie_on_their_steps(unit, low, number, step):
    domain = IntDomain(low, low + number * step, step=step)
    assert place(domain, unit) in range(low, low + number * step + 1, step)


@given(units, st.floats(1e-9, 1e9), st.floats(1, 1e6), st.booleans())
def test_reals_lie_in_their_range(unit, low, factor, log):
    domain = FloatDomain(low, low * factor, log)
    assert low <= place(domain, unit) <= low * factor


@given(units, st.integers(1, 1000), st.integers(0, 10_000))
def test_logarithmic_whole_numbers_lie_in_their_range(unit, low, more):
    assert low <= place(IntDomain(low, low + more, log=True), unit) <= low + more


def test_a_logarithmic_scale_gives_each_decade_its_share():
    points = [place(FloatDomain(1e-4, 1e0, log=True), (n + 0.5) / 400) for n in range(400)]
    assert Counter(math.floor(math.log10(p)) for p in points) == {-4: 100, -3: 100, -2: 100, -1: 100}


def test_values_are_counted_from_0():
    assert [value_at(IntDomain(2, 8, step=3), i) for i in range(count(IntDomain(2, 8, step=3)) or 0)] == [2, 5, 8]
    assert value_at(ChoiceDomain(("a", None)), 1) is None
    assert count(FloatDomain(0, 1)) is None


@pytest.mark.parametrize("size", [1, 5, 10, 37])
@pytest.mark.parametrize("seed", range(3))
def test_each_discrete_value_occurs_in_the_design_as_often_as_any_other(size, seed):
    design = Design(KINDS, size, seed)
    points = [design.propose(n).params for n in range(size)]
    for name, values in {"opt": 5, "size": 3, "layers": 5, "even": 10, "drop": 10, "five": 5, "width": 7}.items():
        seen = Counter(str(point[name]) for point in points)
        if values <= size:
            assert len(seen) == values, name
            assert max(seen.values()) - min(seen.values()) <= 1, name


def test_each_part_of_a_range_has_one_point_of_the_design():
    design = Design(NUMBERS, 20, 3)
    for name in ("x", "y"):
        assert sorted(math.floor((design.propose(n).params[name] + 5) * 2) for n in range(20)) == list(range(20))


def test_conditional_values_occur_where_they_can():
    design = Design(CONDITIONAL, 20, 1)
    points = [design.propose(n).params for n in range(20)]
    assert Counter(p["model"] for p in points) == {"a": 10, "b": 10}
    assert set(Counter(p["only_b"] for p in points if "only_b" in p).values()) <= {3, 4}
    assert sorted({p["deep"] for p in points if "deep" in p}) == [1, 2, 3]


def test_the_design_goes_on_in_further_blocks():
    design = Design(NUMBERS, 5, 1)
    assert len({design.propose(n).params["x"] for n in range(20)}) == 20


def test_sobol_points_fill_each_quarter_alike():
    sampler = samplers.create("qmc", ParameterSpace([Real("x", 0, 2), Real("y", 0, 2)]), {}, 5)
    points = [sampler.propose((), n).params for n in range(64)]
    assert Counter((int(p["x"]), int(p["y"])) for p in points) == {(a, b): 16 for a in (0, 1) for b in (0, 1)}


def test_random_draws_are_uniform():
    space = ParameterSpace([Categorical("c", ["a", "b"]), Integer("n", 1, 4)])
    sampler = samplers.create("random", space, {}, 5)
    counts = Counter((p["c"], p["n"]) for p in (sampler.propose((), n).params for n in range(1600)))
    assert len(counts) == 8
    assert all(140 < number < 260 for number in counts.values())
