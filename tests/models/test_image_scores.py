"""The scores against slow direct sums, and where they must be zero."""

from __future__ import annotations

import math
from pathlib import Path
from statistics import mean, stdev

import pytest
import torch

import image_data
import image_scores
from image_scores import Features, Yardstick, feature_network, median_variance, mmd2, sliced_wasserstein


def direct_mmd2(x: list[list[float]], y: list[list[float]], variance: float) -> float:
    """The definition, term by term."""

    def k(a: list[float], b: list[float]) -> float:
        return mean(math.exp(-(math.dist(a, b) ** 2) / (2 * s * variance)) for s in (0.1, 0.25, 0.5, 1, 2))

    def within(sample: list[list[float]]) -> float:
        return mean(k(a, b) for i, a in enumerate(sample) for j, b in enumerate(sample) if i != j)

    return within(x) + within(y) - 2 * mean(k(a, b) for a in x for b in y)


def test_mmd2_is_the_direct_sum() -> None:
    torch.manual_seed(1)
    x, y = torch.randn(30, 5), torch.randn(40, 5) + 0.5
    assert mmd2(x, y, 7.0) == pytest.approx(direct_mmd2(x.tolist(), y.tolist(), 7.0), abs=1e-5)


def test_mmd2_of_one_distribution_is_zero_on_average_over_seeds() -> None:
    values = []
    for seed in range(200):
        torch.manual_seed(seed)
        x, y = torch.randn(50, 8), torch.randn(50, 8)
        values.append(mmd2(x, y, 16.0))
    assert abs(mean(values)) < 4 * stdev(values) / math.sqrt(len(values))
    assert min(values) < 0, "an unbiased estimate of zero is sometimes below"


def test_mmd2_grows_with_the_distance_and_stays_below_two() -> None:
    torch.manual_seed(1)
    x, noise = torch.randn(200, 4), torch.randn(200, 4)
    values = [mmd2(x, noise + shift, 8.0) for shift in (0.0, 0.5, 1.0, 3.0, 1000.0)]
    assert values == sorted(values) and values[-1] < 2


def test_the_median_is_over_pairs_of_different_rows() -> None:
    assert median_variance(torch.tensor([[0.0], [1.0], [3.0]])) == pytest.approx(4.0)


def test_sliced_wasserstein_of_a_shift_is_the_shift_seen_along_the_directions() -> None:
    torch.manual_seed(1)
    x = torch.randn(100, 1)
    assert sliced_wasserstein(x, x) == 0
    assert sliced_wasserstein(x, x + 2.5) == pytest.approx(
        2.5, rel=1e-4
    )  # in one dimension every direction is the axis
    wide = torch.randn(100, 3)
    assert 0 < sliced_wasserstein(wide, wide + 1.0) < math.sqrt(3)


@pytest.fixture(scope="module")
def digits() -> image_data.Images:
    return image_data.resized(image_data.load("digits"), 16)


@pytest.mark.parametrize("labelled", [True, False])
def test_worse_images_score_worse(digits: image_data.Images, labelled: bool, tmp_path: Path) -> None:
    real = digits.train.float() / 127.5 - 1
    network = feature_network(digits.train, digits.labels if labelled else None, tmp_path, torch.device("cpu"))
    yardstick = Yardstick(real[:400], network)
    torch.manual_seed(1)
    noise = torch.randn_like(real[400:800])
    series = [yardstick.score((real[400:800] + amount * noise).clamp(-1, 1)) for amount in (0.0, 0.3, 0.6, 2.0)]
    for name in ("mmd2", "swd"):
        values = [scores[name] for scores in series]
        assert values == sorted(values)
    assert abs(series[0]["mmd2"]) < 0.003 and series[-1]["mmd2"] > 0.1


def test_features_that_do_not_vary_are_left_out(digits: image_data.Images) -> None:
    network = Features(1)
    with torch.no_grad():
        network.layers[-2].bias[:64] = -1000  # dead units behind the ReLU
    yardstick = Yardstick(digits.train[:50].float() / 127.5 - 1, network)
    assert math.isfinite(yardstick.score(digits.train[50:100].float() / 127.5 - 1)["mmd2"])


def test_the_network_is_trained_once_per_data_set_and_leaves_the_generators_alone(
    digits: image_data.Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few, cpu = digits.train[:200], torch.device("cpu")
    state = torch.get_rng_state()
    first = feature_network(few, None, tmp_path, cpu)
    assert torch.equal(torch.get_rng_state(), state)
    monkeypatch.setattr(image_scores, "_train", lambda *_: pytest.fail("trained again"))
    second = feature_network(few, None, tmp_path, cpu)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert len(list(tmp_path.glob("features_*.pt"))) == 1
    monkeypatch.undo()
    feature_network(digits.train[:201], None, tmp_path, cpu)
    feature_network(few, digits.labels[:200], tmp_path, cpu)
    assert len(list(tmp_path.glob("features_*.pt"))) == 3, "other images, or labels: another network"


def test_of_two_that_train_at_once_the_first_to_finish_counts(tmp_path: Path) -> None:
    """On two machines the lock may not hold; all must still read the same file."""
    image_data.write_once(tmp_path / "file", lambda file: file.write(b"first"))
    image_data.write_once(tmp_path / "file", lambda file: file.write(b"second"))
    assert (tmp_path / "file").read_bytes() == b"first"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
