"""The scores against slow direct sums, and where they must be zero."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path
from statistics import mean, stdev
from types import SimpleNamespace

import pytest
import torch

import image_data
import image_scores
from image_scores import Yardstick, feature_network, median_variance, mmd2, scaled, sliced_wasserstein


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


def test_a_yardstick_gives_the_direct_sum_every_time() -> None:
    """What does not change from epoch to epoch is computed once."""
    torch.manual_seed(1)
    real, first, second = torch.randn(3, 30, 1, 2, 2)
    yardstick = Yardstick(real, torch.nn.Flatten())  # type: ignore[arg-type]  # features are pixels
    rows = [part.flatten(1).tolist() for part in (real, first, second)]
    variance = median_variance(real.flatten(1))
    for images, pixels in [(first, rows[1]), (second, rows[2]), (first, rows[1])]:
        assert yardstick.score(images)["mmd2"] == pytest.approx(direct_mmd2(rows[0], pixels, variance), abs=1e-5)


@pytest.mark.parametrize("different", [0, 2])
def test_real_images_that_are_alike_are_no_yardstick(different: int) -> None:
    real = torch.zeros(20, 1, 2, 2)
    real[:different] = 1
    with pytest.raises(ValueError, match="the real images are nearly all alike"):
        Yardstick(real, torch.nn.Flatten())  # type: ignore[arg-type]


def test_where_the_device_cannot_scale_images_the_cpu_does(monkeypatch: pytest.MonkeyPatch) -> None:
    images, moved = torch.rand(2, 1, 64, 64), []
    monkeypatch.setattr(torch.Tensor, "to", lambda self, device: (moved.append(device), self)[1])
    there = SimpleNamespace(shape=images.shape, device=torch.device("mps"), cpu=lambda: images)
    assert torch.equal(scaled(there), scaled(images))  # type: ignore[arg-type]
    assert moved == [torch.device("mps")]


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


def test_features_that_do_not_vary_among_the_real_images_are_left_out() -> None:
    """A unit that is dead for all of them would else decide alone, if a single generated image woke it."""
    torch.manual_seed(1)
    real, fake = torch.randn(50, 1, 3, 3), torch.randn(60, 1, 3, 3)[:50]
    real[:, 0, 0, 0] = fake[:, 0, 0, 0] = 0
    woken = fake.clone()
    woken[:, 0, 0, 0] = 100 * torch.rand(50)
    yardstick = Yardstick(real, torch.nn.Flatten())  # type: ignore[arg-type]  # features are pixels
    assert yardstick.score(woken)["mmd2"] == yardstick.score(fake)["mmd2"]
    assert yardstick.score(woken + 1)["mmd2"] > yardstick.score(fake)["mmd2"] + 0.1


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


FULL = """
import resource, sys
from pathlib import Path
import torch
import image_data, image_scores

images = image_data.load("digits").train[:100]
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
image_scores.feature_network(images, None, Path(sys.argv[1]), torch.device("cpu"))
"""


def test_a_full_disk_is_said_to_be_one(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(image_scores.__file__).parent)
    assert done.stderr.splitlines()[-1] == "OSError: [Errno 27] File too large"
    assert not list(tmp_path.glob("*features*"))


HOLDER = """
import sys
from pathlib import Path
import torch
import image_data, image_scores

def train(*_):
    print("training", flush=True)
    sys.stdin.read()  # until killed

if sys.argv[2] == "hold":
    image_scores._train = train
images = image_data.load("digits").train[:100]
image_scores.feature_network(images, None, Path(sys.argv[1]), torch.device("cpu"))
print("has it", flush=True)
"""


def test_who_waits_for_a_network_goes_on_when_the_one_that_trains_it_is_killed(tmp_path: Path) -> None:
    def start(role: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", HOLDER, str(tmp_path), role]
        folder = Path(image_scores.__file__).parent
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder)

    with start("hold") as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "training\n"
        with start("wait") as first, start("wait") as second:
            holder.kill()
            assert [waiting.communicate()[0] for waiting in (first, second)] == ["has it\n"] * 2
    assert [p.suffix for p in tmp_path.glob("features_*")] == [".pt"]


def test_what_killed_processes_left_is_removed_after_a_day(tmp_path: Path) -> None:
    for name in (".file.old", ".file.new", ".other.old"):
        (tmp_path / name).touch()
    for old in tmp_path.glob("*.old"):
        os.utime(old, (0, 0))
    image_data.write_once(tmp_path / "file", lambda file: file.write(b"whole"))
    assert {p.name for p in tmp_path.iterdir()} == {"file", ".file.new", ".other.old"}


def test_of_two_that_train_at_once_the_first_to_finish_counts(tmp_path: Path) -> None:
    """On two machines the lock may not hold; all must still read the same file."""
    image_data.write_once(tmp_path / "file", lambda file: file.write(b"first"))
    image_data.write_once(tmp_path / "file", lambda file: file.write(b"second"))
    assert (tmp_path / "file").read_bytes() == b"first"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
