"""seed_everything: one number decides all that is random."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo import training

torch = pytest.importorskip("torch")


def draw() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), float(torch.rand(()))


@given(st.integers())
def test_any_integer_is_a_seed_and_repeats(seed: int) -> None:
    training.seed_everything(seed)
    first = draw()
    training.seed_everything(seed)
    assert draw() == first


def test_seeds_differ_in_every_generator() -> None:
    training.seed_everything(1)
    first = draw()
    training.seed_everything(2)
    assert all(a != b for a, b in zip(first, draw(), strict=True))
