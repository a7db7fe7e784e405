"""Spherical interpolation, and its edge cases."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from latent_space import normal_plane, plane, slerp, walk

vectors = st.lists(st.floats(-10, 10, width=32), min_size=4, max_size=4).map(torch.tensor)
fractions = st.floats(0, 1)


def test_half_way_of_a_right_angle_is_the_diagonal() -> None:
    half = slerp(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), 0.5)
    assert half.tolist() == pytest.approx([math.sqrt(0.5)] * 2)


def test_the_length_goes_from_one_to_the_other() -> None:
    a, b = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 6.0])
    assert slerp(a, b, 0.25).norm().item() == pytest.approx(3.0)


@given(a=vectors, b=vectors, t=fractions)
def test_it_is_finite_and_as_long_as_it_should_be(a: torch.Tensor, b: torch.Tensor, t: float) -> None:
    point = slerp(a, b, t)
    assert point.isfinite().all()
    if a.norm() > 1e-3 and b.norm() > 1e-3:
        assert point.norm().item() == pytest.approx(torch.lerp(a.norm(), b.norm(), t).item(), rel=1e-3)


@given(a=vectors, b=vectors)
def test_it_begins_and_ends_where_it_should(a: torch.Tensor, b: torch.Tensor) -> None:
    if a.norm() > 1e-3 and b.norm() > 1e-3:
        assert torch.allclose(slerp(a, b, 0.0), a, atol=1e-3)
        assert torch.allclose(slerp(a, b, 1.0), b, atol=1e-2)


@pytest.mark.parametrize("t", [0.0, 0.3, 1.0])
def test_equal_and_parallel_vectors_are_joined_by_a_line(t: float) -> None:
    a = torch.tensor([1.0, 2.0, 3.0])
    assert torch.allclose(slerp(a, a, t), a)
    assert torch.allclose(slerp(a, 3 * a, t), a * (1 + 2 * t))


def test_opposite_vectors_are_joined_around_not_through_zero() -> None:
    a = torch.tensor([1.0, 2.0, 2.0])
    lengths = [slerp(a, -a, t).norm().item() for t in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert lengths == pytest.approx([3.0] * 5)


@pytest.mark.parametrize("angle", [3e-3, 1e-3, 3e-4, 1e-4, 1e-5])
def test_nearly_opposite_vectors_too(angle: float) -> None:
    a, b = torch.tensor([1.0, 0.0, 0.0]), -torch.tensor([math.cos(angle), math.sin(angle), 0.0])
    points = [slerp(a, b, t / 8) for t in range(9)]
    assert [point.norm().item() for point in points] == pytest.approx([1.0] * 9, abs=1e-6)
    steps = [(p - q).norm().item() for p, q in pairwise(points)]
    assert steps == pytest.approx([2 * math.sin(math.pi / 16)] * 8, abs=1e-3), "evenly on half a circle"


def test_with_a_zero_vector_it_is_a_line() -> None:
    assert slerp(torch.zeros(2), torch.tensor([2.0, 0.0]), 0.5).tolist() == [1.0, 0.0]


def test_a_walk_passes_through_its_anchors_and_closes() -> None:
    torch.manual_seed(1)
    anchors = torch.randn(3, 10)
    points = walk(anchors, 30)
    assert points.shape == (30, 10)
    assert torch.allclose(points[[0, 10, 20]], anchors, atol=1e-4)
    steps = (points - points.roll(-1, 0)).norm(dim=1)
    assert steps.max() < 3 * steps.min(), "the last frame is one step from the first"


def test_a_plane_has_its_corners_and_straight_lines_between() -> None:
    corners = torch.tensor([[0.0, 0.0, 1.0], [2.0, 0.0, 1.0], [0.0, 4.0, 1.0], [2.0, 4.0, 1.0]])
    points = plane(corners, 3).view(3, 3, 3)
    assert points[0].tolist() == [[0, 0, 1], [1, 0, 1], [2, 0, 1]]
    assert points[:, 2].tolist() == [[2, 0, 1], [2, 2, 1], [2, 4, 1]]


def test_a_plane_of_the_prior_has_as_many_points_where_there_is_much_as_where_there_is_little() -> None:
    points = normal_plane(4, across=3, down=1, steps=20)
    below = 0.5 * (1 + torch.erf(points[:, [3, 1]] / math.sqrt(2)))
    cells = (below * 20).floor().long()
    assert sorted(map(tuple, cells.tolist())) == [(i, j) for i in range(20) for j in range(20)]
    assert (points[:, [0, 2]] == 0).all()
