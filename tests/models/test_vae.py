"""The VAE: its bound against numerical integrals, its losses against published ones, killed and resumed."""

from __future__ import annotations

import ast
import json
import math
import os
import shutil
import signal
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from support import hpo
from torch import Tensor
from torch.nn import functional as F

import image_data
import model_settings
import vae
from hpo import shipped
from hpo.experiment import reserved

MODELS = Path(vae.__file__).parent
SMALL = {"epochs": 2, "hidden_size": 16, "latent_size": 2}


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a trial: the working directory is a folder of its own."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file with the loss of every epoch."""
    monkeypatch.setenv("HPO_REPORT_FILE", str(tmp_path / "reports"))
    return tmp_path / "reports"


def losses(reports: Path) -> dict[int, float]:
    lines = [json.loads(line) for line in reports.read_text().splitlines()]
    return {line["step"]: line["value"] for line in lines}


# The bound


def tiny(likelihood: str = "bernoulli", pixels: int = 1, latent: int = 1) -> vae.VAE:
    torch.manual_seed(5)
    return vae.VAE(pixels, [3], latent, "tanh", likelihood).double()


def log_p(model: vae.VAE, x: Tensor, z: Tensor) -> Tensor:
    """log p(x|z), written down a second time."""
    if model.log_variance is None:
        return torch.distributions.Bernoulli(model.decode(z), validate_args=False).log_prob(x).sum(1)
    return torch.distributions.Normal(model.decode(z), (model.log_variance / 2).exp()).log_prob(x).sum(1)


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_the_loss_is_the_bound_as_a_numerical_integral_gives_it(likelihood: str) -> None:
    model, x = tiny(likelihood), torch.tensor([[0.3]]).double()
    prior = torch.distributions.Normal(0.0, 1.0)
    with torch.no_grad():
        model.encoder[-1].bias[1] = -1.0  # a q(z|x) that differs from the prior
        mean, log_variance = model.encoder(x)[0]
        q = torch.distributions.Normal(mean, (log_variance / 2).exp())
        z = torch.linspace(-12, 12, 20_001).double()
        log_joint = log_p(model, x, z[:, None]) + prior.log_prob(z)
        integral = torch.trapezoid(q.log_prob(z).exp() * (q.log_prob(z) - log_joint), z)
        # our loss for given noise, averaged over standard normal noise by the trapezoid rule
        noise = torch.linspace(-10, 10, 4001).double()
        ours = torch.stack([model.negative_elbo(x, e.view(1, 1)) for e in noise])
        averaged = torch.trapezoid(prior.log_prob(noise).exp() * ours, noise)
        evidence = torch.trapezoid(log_joint.exp(), z).log()
    assert averaged.item() == pytest.approx(integral.item(), abs=1e-5)
    assert averaged > -evidence, "minus a lower bound lies above"


def test_it_is_the_loss_of_the_pytorch_example() -> None:
    model, x, noise = tiny(pixels=6, latent=2), torch.rand(4, 6).double(), torch.randn(4, 2).double()
    mean, log_variance = model.encode(x)
    reconstruction = model.decode(mean + noise * torch.exp(0.5 * log_variance))
    bce = F.binary_cross_entropy(reconstruction, x.float(), reduction="sum")
    kld = -0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp())
    assert model.negative_elbo(x, noise).item() == pytest.approx((bce + kld).item() / 4, rel=1e-6)
    assert model.negative_elbo(x, noise, beta=0).item() == pytest.approx(bce.item() / 4, rel=1e-6)


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_the_gradients_are_those_of_the_loss(likelihood: str) -> None:
    """By finite differences. In single precision, as the model computes: coarse steps, coarse agreement."""
    model, x, noise = tiny(likelihood, pixels=3), torch.rand(2, 3).double(), torch.randn(2, 1).double()
    model.negative_elbo(x, noise).backward()
    for parameter in model.parameters():
        assert parameter.grad is not None
        flat, gradient = parameter.data.view(-1), parameter.grad.view(-1)
        for i in range(len(flat)):
            value, step = flat[i].item(), 1e-2
            flat[i] = value + step
            above = model.negative_elbo(x, noise).item()
            flat[i] = value - step
            below = model.negative_elbo(x, noise).item()
            flat[i] = value
            assert gradient[i].item() == pytest.approx((above - below) / (2 * step), abs=2e-3)


def test_the_architecture_is_the_examples() -> None:
    model = vae.VAE(784, [400], 20, "relu", "bernoulli")
    # 784-400, 400-20 twice, 20-400, 400-784, each with a bias
    assert sum(p.numel() for p in model.parameters()) == 785 * 400 + 2 * 401 * 20 + 21 * 400 + 401 * 784


def test_scoring_uses_the_same_noise_every_time_and_leaves_the_generators_alone() -> None:
    data = vae.Data(vae.Settings(), torch.device("cpu"))
    model = vae.VAE(64, [8], 2, "relu", "bernoulli")
    state = torch.get_rng_state()
    assert vae.evaluate(model, data, data.validation) == vae.evaluate(model, data, data.validation)
    assert torch.equal(torch.get_rng_state(), state)


# Its losses

TOLERANCE = {1: 3.0, 3: 1.5, 10: 1.0}


@pytest.mark.parametrize("seed", [1, 2])
def test_digits_reach_their_losses(reports: Path, seed: int) -> None:
    vae.run({"validation": 0, "epochs": 10, "seed": seed})
    for epoch, expected in {1: 32.5, 3: 28.2, 10: 26.3}.items():
        assert losses(reports)[epoch] == pytest.approx(expected, abs=TOLERANCE[epoch])


def test_with_images_held_out_validation_and_test_agree() -> None:
    result = vae.run({"test": True})
    assert isinstance(result, dict)
    assert result["val_loss"] == pytest.approx(26.3, abs=1)
    assert result["test_loss"] == pytest.approx(result["val_loss"], abs=1)


needs_mnist = pytest.mark.skipif(
    not (image_data.data_folder() / "MNIST/raw").exists(),
    reason="no MNIST: tests/models/fetch_mnist FOLDER, then HPO_DATA=FOLDER",
)


@needs_mnist
def test_mnist_reaches_the_published_losses(reports: Path) -> None:
    vae.run({"dataset": "mnist", "validation": 0, "epochs": 10})
    for epoch, expected in {1: 127, 3: 111.5, 10: 105.5}.items():
        assert losses(reports)[epoch] == pytest.approx(expected, abs=TOLERANCE[epoch])


@needs_mnist
def test_mnist_with_images_held_out(reports: Path) -> None:
    result = vae.run({"dataset": "mnist", "epochs": 3, "test": True})
    assert isinstance(result, dict)
    assert losses(reports)[1] == pytest.approx(133.7, abs=3)
    assert result["val_loss"] == pytest.approx(114.6, abs=1.5)
    assert result["test_loss"] == pytest.approx(113.5, abs=1.5)


def test_bfloat16_gives_the_same_loss() -> None:
    assert vae.run({"precision": "bfloat16"}) == pytest.approx(vae.run({}), abs=0.3)


@pytest.mark.parametrize(
    "hyperparams",
    [
        {"hidden_size": [32, 16], "activation": "tanh"},
        {"hidden_size": 32, "layers": 3, "hidden_size_2": 16},
        {"hidden_size": [64], "activation": "silu", "lr_schedule": "cosine"},
        {"beta": 4.0},
        {"likelihood": "gaussian"},
        {"dataset": "fake", "validation": 100},
    ],
)
def test_every_hyperparameter_trains(hyperparams: dict[str, Any], reports: Path) -> None:
    vae.run({"epochs": 4, **hyperparams})
    assert losses(reports)[4] < losses(reports)[1]


def test_the_rate_of_learning_falls_as_a_cosine(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = []
    step = torch.optim.Adam.step
    monkeypatch.setattr(
        torch.optim.Adam, "step", lambda self: (rates.append(self.param_groups[0]["lr"]), step(self))[1]
    )
    vae.run(
        {**SMALL, "epochs": 4, "validation": 437, "batch_size": 1000, "lr": 0.01, "lr_schedule": "cosine"}
    )  # a batch an epoch
    assert rates == pytest.approx([0.01 * (1 + math.cos(math.pi * t)) / 2 for t in (0, 0.25, 0.5, 0.75)])


# As a trial


def test_what_else_a_trials_dictionary_holds_is_ignored() -> None:
    added = reserved("hpset_00001", "X000", 1, {})
    assert {*added, "output_dir"} == {*model_settings.ADDED}
    assert vae.run({**SMALL, **added, "conv": [1, 2]}) > 0


def test_a_misspelt_hyperparameter_is_named_with_the_one_that_is_meant() -> None:
    with pytest.raises(ValueError) as caught:
        vae.run({"id": "hpset_00001", "latent_sise": 5, "epoch": 3})
    assert str(caught.value) == (
        "the script has no hyperparameter latent_sise (did you mean latent_size?), epoch (did you mean epochs?):"
        " see Settings"
    )


def test_hpo_check_finds_it_before_anything_runs(tmp_path: Path) -> None:
    text = (shipped.folder("inputs") / "vae.in").read_text()
    Path("vae.in").write_text(text.replace("latent_size =", "latent_sise =").replace("lr  ", "learning_rate  "))
    checked = json.loads(hpo("check", "vae.in", "--json", cwd=tmp_path).stdout)
    assert [warning["message"].partition(" so all ")[0] for warning in checked["warnings"]] == [
        "the script never reads the parameter 'learning_rate',",
        "the script never reads the parameter 'latent_sise',",
    ]
    assert checked["warnings"][1]["message"].endswith("Did you mean 'latent_size'?")


def test_one_seed_gives_one_loss() -> None:
    assert vae.run({**SMALL, "seed": 3}) == vae.run({**SMALL, "seed": 3, "rng_seed": 4})
    assert vae.run({**SMALL, "rng_seed": 3}) == vae.run({**SMALL, "seed": 3})
    assert vae.run({**SMALL, "seed": 4}) != vae.run({**SMALL, "seed": 3})


def test_it_leaves_pictures_in_the_trials_folder(tmp_path: Path) -> None:
    vae.run({**SMALL, "output_dir": str(tmp_path)})
    assert {p.name for p in tmp_path.glob("*.png")} == {"samples.png", "reconstructions.png", "walk.png"}


def test_divergence_is_an_error_not_a_number() -> None:
    with pytest.raises(FloatingPointError, match=r"diverged: validation loss .* after epoch 1, 4.* before"):
        vae.run({"lr": 1e4, "epochs": 3})


def test_patience_ends_training_and_goes_back_to_the_best(reports: Path) -> None:
    settings = vae.Settings(lr=0.02, hidden_size=256, epochs=400, patience=3)
    data = vae.Data(settings, torch.device("cpu"))
    torch.manual_seed(1)
    model = vae.build(settings, 64)
    best = vae.fit(model, data, settings)
    values = losses(reports)
    assert len(values) < 400
    assert best == min(values.values()) == values[len(values) - 3]
    assert vae.evaluate(model, data, data.validation) == best, "the weights are those of that epoch"


DEVICES = "auto, cpu, cuda, one of several such as cuda:1, or mps"


@pytest.mark.parametrize("seed", [-(2**63), -1, 0, 2**32, 2**64 - 1])
def test_every_seed_that_torch_takes_is_one(seed: int) -> None:
    assert vae.run({**SMALL, "epochs": 1, "seed": seed}) > 0


@pytest.mark.parametrize(
    ("hyperparams", "sentence"),
    [
        ({"epochs": 0}, "epochs must be a whole number from 1, not 0"),
        ({"batch_size": 12.5}, "batch_size must be a whole number from 1, not 12.5"),
        ({"hidden_size": [32, 0]}, "hidden_size must be a whole number from 1, or a list of them, not [32, 0]"),
        ({"hidden_size_2": 0}, "hidden_size_2 must be a whole number from 1, not 0"),
        ({"hidden_size": [9, 5], "layers": 4}, "layers must be left out where hidden_size is a list, not 4"),
        (
            {"hidden_size": [9], "hidden_size_2": 5, "hidden_size_3": 3},
            "hidden_size_2 must be left out where hidden_size is a list, not 5; "
            "hidden_size_3 must be left out where hidden_size is a list, not 3",
        ),
        ({"validation": 0.0003}, "validation = 0.0003 holds nothing out: there are 1437 training images"),
        ({"lr": 0}, "lr must be a number above 0, not 0"),
        ({"lr": "fast"}, "lr must be a number above 0, not 'fast'"),
        ({"validation": -1}, "validation must be a number from 0, not -1"),
        ({"validation": math.inf}, "validation must be a number from 0, not inf"),
        ({"lr": math.inf}, "lr must be a number above 0, not inf"),
        ({"test": "no"}, "test must be true or false, not 'no'"),
        ({"batch_size": 1200}, "batch_size = 1200 is more than the 1197 training images"),
        ({"seed": "abc"}, "seed must be a whole number from -2**63, below 2**64, not 'abc'"),
        ({"seed": 2**64}, f"seed must be a whole number from -2**63, below 2**64, not {2**64}"),
        ({"rng_seed": 1.5}, "rng_seed must be a whole number from -2**63, below 2**64, not 1.5"),
        ({"rng_seed": None}, "rng_seed must be a whole number from -2**63, below 2**64, not None"),
        ({"threads": -1}, "threads must be a whole number from 0, not -1"),
        ({"threads": "two"}, "threads must be a whole number from 0, not 'two'"),
        ({"device": "meta"}, f"device must be {DEVICES}, not 'meta'"),
        ({"device": 1}, f"device must be {DEVICES}, not 1"),
        (
            {"activation": "rleu", "lr_schedule": "linear"},
            "activation must be one of relu, tanh, elu, gelu, silu, not 'rleu'; "
            "lr_schedule must be constant or cosine, not 'linear'",
        ),
    ],
)
def test_an_impossible_value_is_named(hyperparams: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError) as caught:
        vae.run(hyperparams)
    assert str(caught.value) == sentence


# By hand


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True)


def test_it_runs_from_the_command_line(tmp_path: Path) -> None:
    done = python(vae.__file__, "--epochs", "2", "--hidden-size", "[32, 16]", "--latent_size", "2")
    assert done.returncode == 0, done.stderr
    *epochs, value = done.stdout.splitlines()
    assert [line.split(":")[0] for line in epochs] == ["epoch 1", "epoch 2"]
    assert math.isfinite(float(value))
    assert (tmp_path / "samples.png").exists()


def test_a_mistake_on_the_command_line_is_a_sentence() -> None:
    done = python(vae.__file__, "--dataset", "digit")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("vae.py: unknown data set 'digit'")


@pytest.mark.parametrize(
    "words", [["--seed", "abc"], ["--rng-seed", "1.5"], ["--threads", "-1"], ["--threads", "two"], ["--device", "meta"]]
)
def test_so_is_one_about_seed_threads_or_device(monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    name = words[0].removeprefix("--").replace("-", "_")
    assert refusal(monkeypatch, *words).startswith(f"vae.py: {name} must be ")


@pytest.mark.parametrize("word", ["no", "1", "[]"])
def test_a_switch_is_true_or_false(monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    assert refusal(monkeypatch, "--test", word).startswith("vae.py: test must be true or false, not ")
    here(monkeypatch, "--epochs", "1", "--hidden-size", "16", "--test", "false")


def test_a_number_beyond_all_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refusal(monkeypatch, "--validation", "1e999") == "vae.py: validation must be a number from 0, not inf"


def test_a_folder_may_have_a_number_for_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    here(monkeypatch, "--epochs", "1", "--hidden-size", "16", "--output-dir", "7")
    assert Path("7/samples.png").exists()


@pytest.mark.parametrize("seed", ["abc", "1.5", str(2**64)])
def test_a_picture_from_no_seed_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], seed: str
) -> None:
    with pytest.raises(SystemExit):
        here(monkeypatch, "sample", "--checkpoint", ".", "--seed", seed)
    assert f"argument --seed: a whole number from -2**63, below 2**64, not '{seed}'" in capsys.readouterr().err


def test_copied_it_runs_where_hpo_is_not_installed(tmp_path: Path) -> None:
    for name in ("vae.py", "by_hand.py", "image_data.py", "latent_space.py", "model_settings.py"):
        shutil.copy(MODELS / name, tmp_path)
    without = "import sys; sys.modules['hpo'] = None; sys.path[:0] = ['.']; import vae; vae.run({'epochs': 1})"
    done = python("-c", without)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("epoch 1: validation loss")


@pytest.mark.parametrize(
    ("hyperparams", "sizes"),
    [
        ({"hidden_size": [7, 5]}, [7, 5]),
        ({"hidden_size": [7, 5], "layers": 2}, [7, 5]),
        ({"hidden_size": 7}, [7]),
        ({"hidden_size": 7, "layers": 4}, [7, 7, 7, 7]),
        ({"hidden_size": 7, "layers": 1, "hidden_size_2": 5}, [7]),
        ({"hidden_size": 7, "layers": 3, "hidden_size_2": 5}, [7, 5, 5]),
        ({"hidden_size": 7, "layers": 3, "hidden_size_3": 3}, [7, 7, 3]),
    ],
)
def test_a_search_may_vary_how_many_layers_there_are_and_each_of_them(
    hyperparams: dict[str, Any], sizes: list[int]
) -> None:
    assert vae.Settings(**hyperparams).sizes() == sizes


# From a checkpoint


def here(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    """As on the command line, in this process."""
    monkeypatch.setattr(sys, "argv", [vae.__file__, *words])
    monkeypatch.setenv("HPO_CHECKPOINT_DIR", "")  # set anew by what runs, and put back after the test
    monkeypatch.delenv("HPO_CHECKPOINT_DIR")
    vae.by_hand.main(vae.SCRIPT, "", vae.Settings, vae.run, vae.COMMANDS)


def refusal(monkeypatch: pytest.MonkeyPatch, *words: str) -> str:
    with pytest.raises(SystemExit) as refused:
        here(monkeypatch, *words)
    assert isinstance(refused.value.code, str)
    return refused.value.code


def size(name: str) -> tuple[int, int]:
    with Image.open(name) as picture:
        return picture.size


CELL = 4 * (8 + 2)  # a digit with its margin, enlarged


@pytest.mark.parametrize("latent", [2, 5])
def test_pictures_from_a_checkpoint(monkeypatch: pytest.MonkeyPatch, latent: int) -> None:
    here(monkeypatch, "--epochs", "2", "--hidden-size", "16", f"--latent-size={latent}", "--output-dir", "first")
    here(monkeypatch, "sample", "--checkpoint", "first", "--grid", "3", "-o", "s.png")
    here(monkeypatch, "reconstruct", "--checkpoint", "first/checkpoints", "--grid", "6", "-o", "r.png")
    here(monkeypatch, "walk", "--checkpoint", "first/checkpoints/checkpoint_2.pt", "--grid", "4", "-o", "w.png")
    here(monkeypatch, "walk", "--checkpoint", "first", "--grid", "4", "--dimensions", "1", "0", "-o", "d.png")
    sides = {name: size(name) for name in ("s.png", "r.png", "w.png", "d.png")}
    three, four, six = 3 * CELL, 4 * CELL, 6 * CELL
    assert sides == {"s.png": (three, three), "r.png": (six, six), "w.png": (four, four), "d.png": (four, four)}
    same = Path("first/samples.png").read_bytes()
    here(monkeypatch, "sample", "--checkpoint", "first")
    assert Path("samples.png").read_bytes() == same, "the model is the one that was trained"


def test_reconstructions_stand_below_the_images_they_are_of() -> None:
    model = vae.VAE(64, [], 64, "relu", "gaussian")
    with torch.no_grad():  # a model that halves what it sees
        model.encoder[0].weight.copy_(torch.cat([torch.eye(64), torch.zeros(64, 64)]))
        model.encoder[0].bias.zero_()
        model.decoder[0].weight.copy_(torch.eye(64) / 2)
        model.decoder[0].bias.zero_()
        x = torch.rand(6, 64)
        rows = vae.reconstructed(model, x, columns=3).view(4, 3, 64)
    assert torch.equal(torch.cat([rows[0], rows[2]]), x)
    assert torch.allclose(torch.cat([rows[1], rows[3]]), x / 2)


def test_a_walk_over_two_dimensions_leaves_the_others_at_zero() -> None:
    model = vae.VAE(3, [], 3, "relu", "gaussian")
    with torch.no_grad():
        model.decoder[0].weight.copy_(torch.eye(3))
        model.decoder[0].bias.zero_()
        z = vae.walked(model, 5, dimensions=(2, 0)).view(5, 5, 3)
    quantiles = torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor([0.1, 0.3, 0.5, 0.7, 0.9]))
    assert torch.allclose(z[0, :, 2], quantiles) and torch.allclose(z[:, 0, 0], quantiles)
    assert (z[:, :, 1] == 0).all()


def test_the_test_images_are_scored_once_for_the_winner(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With patience the best weights count, not the last."""
    words = ["--lr", "0.02", "--epochs", "60", "--patience", "3", "--hidden-size", "64", "--test", "true"]
    here(monkeypatch, *words)
    *epochs, results = capsys.readouterr().out.splitlines()
    assert len(epochs) < 60, "it went on after its best"
    here(monkeypatch, "test", "--checkpoint", ".")
    assert float(capsys.readouterr().out) == ast.literal_eval(results)["test_loss"]


def test_training_by_hand_goes_on_only_when_asked_and_as_it_began(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--hidden-size", "16", "--output-dir", "first"]
    here(monkeypatch, *words, "--epochs", "2")
    assert refusal(monkeypatch, *words, "--epochs", "3") == (
        "vae.py: first/checkpoints has checkpoints: go on with --resume, or choose another --output-dir"
    )
    capsys.readouterr()
    here(monkeypatch, *words, "--epochs", "3", "--resume")
    resumed = capsys.readouterr().out.splitlines()
    assert resumed[0].startswith("epoch 3:")
    with pytest.raises(SystemExit):
        here(monkeypatch, "--help")
    assert "--resume " in capsys.readouterr().out
    here(monkeypatch, "--hidden-size", "16", "--output-dir", "second", "--epochs", "3")
    assert capsys.readouterr().out.splitlines()[-1] == resumed[-1], "as if it had not been interrupted"
    assert refusal(monkeypatch, *words, "--lr", "0.1", "--beta", "2", "--resume") == (
        "vae.py: the checkpoint to go on from was made with lr = 0.001, not 0.1, beta = 1.0, not 2"
    )


def test_other_data_than_it_was_trained_on_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is held out of them, it may have been trained on."""
    digits = image_data.load("digits")
    for name, train in (("a", digits.train[:200]), ("b", digits.train[1:201])):
        Path(name).mkdir()
        for part, images in (("train", train), ("t10k", digits.test[:20])):
            header = struct.pack(">4I", 0x803, len(images), 8, 8)
            Path(name, f"{part}-images-idx3-ubyte").write_bytes(header + bytes(images.flatten().tolist()))
    words = ["--dataset=mnist", "--hidden-size=16", "--batch-size=32", "--output-dir=first"]
    monkeypatch.setenv("HPO_DATA", "a")
    here(monkeypatch, *words, "--epochs", "1")
    monkeypatch.setenv("HPO_DATA", "b")
    first, second = (image_data.load("mnist", name).fingerprint for name in ("a", "b"))
    assert first != second
    for command in (
        [*words, "--epochs", "2", "--resume"],
        *([command, "--checkpoint", "first"] for command in ("test", "reconstruct", "walk")),
    ):
        assert refusal(monkeypatch, *command) == (
            f"vae.py: the checkpoint was made with other data: {first}, not {second}; "
            "give those with data_folder or HPO_DATA"
        )
    here(monkeypatch, "test", "--checkpoint", "first", "--data-folder", "a")
    here(monkeypatch, *words, "--epochs", "2", "--resume", "--data-folder", "a")

    old = torch.load("first/checkpoints/checkpoint_2.pt", weights_only=True)
    del old["state"]["data"]  # checkpoints were once without
    torch.save(old, "old.pt")
    here(monkeypatch, "test", "--checkpoint", "old.pt")


def test_where_nothing_is_to_go_on_from_it_does_not_begin_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["--hidden-size", "16", "--output-dir", "first", "--epochs", "1", "--resume"]
    nothing = "vae.py: there is no whole checkpoint in first/checkpoints to go on from"
    assert refusal(monkeypatch, *words) == nothing
    here(monkeypatch, *words[:-1])
    Path("first/checkpoints/checkpoint_1.pt").write_bytes(b"torn")
    assert refusal(monkeypatch, *words) == nothing
    monkeypatch.setitem(sys.modules, "hpo.training", None)
    assert refusal(monkeypatch, *words) == (
        "vae.py: --resume needs hpo, which is not installed: without it no checkpoints are kept"
    )


def test_a_rate_that_falls_to_nothing_over_the_epochs_cannot_go_on_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["--hidden-size", "16", "--output-dir", "first", "--lr-schedule", "cosine"]
    here(monkeypatch, *words, "--epochs", "2")
    assert refusal(monkeypatch, *words, "--epochs", "3", "--resume") == (
        "vae.py: the checkpoint to go on from was made with epochs = 2, not 3"
    )
    here(monkeypatch, *words, "--epochs", "2", "--resume")


def test_what_is_no_checkpoint_of_the_vae_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def complaint(path: str) -> str:
        return refusal(monkeypatch, "sample", "--checkpoint", path).removeprefix("vae.py: ")

    Path("folder").mkdir()
    Path("text.pt").write_text("nothing")
    torch.save({"state": {"script": "dcgan.py"}}, "other.pt")
    here(monkeypatch, "--epochs", "1", "--output-dir", "first")
    whole = Path("first/checkpoints/checkpoint_1.pt").read_bytes()
    Path("torn.pt").write_bytes(whole[: len(whole) // 2])
    assert complaint("nowhere.pt") == "there is no checkpoint nowhere.pt"
    assert complaint("folder") == "there is no checkpoint in folder"
    assert complaint("text.pt") == "text.pt is damaged, or no checkpoint of vae.py (UnpicklingError)"
    assert complaint("torn.pt") == "torn.pt is damaged, or no checkpoint of vae.py (RuntimeError)"
    assert complaint("other.pt") == "other.pt is a checkpoint of dcgan.py, not of vae.py"


def test_only_dimensions_that_are_there_can_be_walked(monkeypatch: pytest.MonkeyPatch) -> None:
    here(monkeypatch, "--epochs", "1", "--latent-size", "3")
    for wrong in (["0", "3"], ["1", "1"], ["-1", "0"]):
        assert refusal(monkeypatch, "walk", "--checkpoint", ".", "--dimensions", *wrong) == (
            "vae.py: --dimensions must be two different ones of 0 to 2"
        )


# Stopped and killed

LONG = {"epochs": 12, "lr_schedule": "cosine", "patience": 12, "seed": 3}


def test_paused_it_saves_and_goes_on_as_if_nothing_had_been(
    reports: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uninterrupted = vae.run(LONG)
    expected = losses(reports)
    reports.unlink()
    monkeypatch.setenv("HPO_STOP_FILE", str(tmp_path / "stop"))
    attempts = []
    for attempt in range(1, 13):  # each is paused after its first epoch
        (tmp_path / "stop").write_text("pause")
        monkeypatch.setenv("HPO_CHECKPOINT_DIR", str(tmp_path / f"checkpoints_{attempt}"))
        monkeypatch.setenv("HPO_RESTORE_FROM", os.pathsep.join(attempts))
        value = vae.run(LONG)
        attempts.insert(0, str(tmp_path / f"checkpoints_{attempt}"))
    assert losses(reports) == expected
    (tmp_path / "stop").unlink()
    monkeypatch.setenv("HPO_RESTORE_FROM", os.pathsep.join(attempts))
    assert vae.run(LONG) == uninterrupted == min(expected.values())
    assert value == min(expected.values())


def test_pruned_it_stops_without_a_checkpoint(reports: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HPO_STOP_FILE", str(tmp_path / "stop"))
    monkeypatch.setenv("HPO_CHECKPOINT_DIR", str(tmp_path / "checkpoints"))
    (tmp_path / "stop").write_text("prune")
    vae.run(LONG)
    assert list(losses(reports)) == [1]
    assert not (tmp_path / "checkpoints").exists()


KILLED = """
import json, os, signal, sys
import vae
from hpo.training import checkpoint

save, epochs = checkpoint.save, int(sys.argv[2])

def save_and_die(state, step, every):
    save(state, step, every=0)
    if step == epochs:
        os.kill(os.getpid(), signal.SIGKILL)

checkpoint.save = save_and_die
print(vae.run(json.loads(sys.argv[1])))
"""


def test_killed_it_goes_on_from_its_checkpoint_bit_for_bit(
    reports: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uninterrupted = vae.run(LONG)
    monkeypatch.setenv("HPO_CHECKPOINT_DIR", str(tmp_path / "attempt"))
    monkeypatch.setenv("PYTHONPATH", str(MODELS))
    first = python("-c", KILLED, json.dumps(LONG), "7")
    assert first.returncode == -signal.SIGKILL
    second = python("-c", KILLED, json.dumps(LONG), "0")
    assert second.returncode == 0, second.stderr
    assert second.stdout.startswith("epoch 8:")
    assert float(second.stdout.splitlines()[-1]) == uninterrupted
