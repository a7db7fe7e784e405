"""seed_everything: one number decides all that is random."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo import training
from hpo.training import seeds

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


class Devices:
    """Stands for torch.cuda with so many devices: each has a number for its generator's state."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, states: list[int], current: int = 0) -> None:
        self.states = states
        for name, replacement in {
            "is_initialized": lambda: True,
            "device_count": lambda: len(states),
            "current_device": lambda: current,
            "get_rng_state": lambda n: states[n],
            "set_rng_state": lambda state, n: states.__setitem__(n, state),
        }.items():
            monkeypatch.setattr(torch.cuda, name, replacement)


@pytest.mark.parametrize(
    ("saved", "saved_on", "now", "now_on", "restored"),
    [
        ([7], 0, [1], 0, [7]),
        ([7, 8], 0, [1, 2], 0, [7, 8]),
        ([7, 8], 1, [1], 0, [8]),
        ([7], 0, [1, 2, 3], 2, [1, 2, 7]),
        ([7], 0, [], 0, []),
    ],
)
def test_with_another_number_of_devices_the_current_one_continues(
    monkeypatch: pytest.MonkeyPatch, saved: list[int], saved_on: int, now: list[int], now_on: int, restored: list[int]
) -> None:
    Devices(monkeypatch, saved, saved_on)
    state = seeds.get_state()
    devices = Devices(monkeypatch, now, now_on)
    seeds.set_state(state)
    assert devices.states == restored
