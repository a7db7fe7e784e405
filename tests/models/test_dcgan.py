"""The DCGAN: the tutorial's networks, a score that falls, killed and resumed, pictures, mistakes in a sentence."""

from __future__ import annotations

import ast
import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import dcgan

MODELS = Path(dcgan.__file__).parent
TINY = {"dataset": "digits", "image_size": 16, "ngf": 4, "ndf": 4, "batch_size": 64, "nz": 8, "validation": 100}


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HPO_REPORT_FILE", str(tmp_path / "reports"))
    return tmp_path / "reports"


def scores(reports: Path) -> list[float]:
    return [json.loads(line)["value"] for line in reports.read_text().splitlines()]


# The networks


def test_the_networks_of_the_tutorial() -> None:
    """64 pixels, 3 channels, nz 100, ngf = ndf = 64: as many weights as it prints."""
    assert sum(p.numel() for p in dcgan.Generator(100, 64, 3, 64).parameters()) == 3_576_704
    assert sum(p.numel() for p in dcgan.Discriminator(64, 3, 64).parameters()) == 2_765_568


@pytest.mark.parametrize("size", [16, 32, 64, 128])
@pytest.mark.parametrize("channels", [1, 3])
def test_shapes(size: int, channels: int) -> None:
    images = dcgan.Generator(10, 2, channels, size)(torch.randn(3, 10, 1, 1))
    assert images.shape == (3, channels, size, size) and images.abs().max() <= 1
    assert dcgan.Discriminator(2, channels, size)(images).shape == (3, 1, 1, 1)


def test_initial_weights() -> None:
    torch.manual_seed(1)
    generator = dcgan.Generator(100, 16, 3, 64)
    assert generator[0].weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert generator[1].weight.mean().item() == pytest.approx(1.0, abs=0.01)


def test_a_step_moves_each_network_down_its_own_loss() -> None:
    """The gradients of a step are those of log D(x) + log(1 - D(G(z))) and of log D(G(z)), written down again."""
    torch.manual_seed(1)
    settings = dcgan.Settings(image_size=16, ngf=2, ndf=2, nz=3, lr=1e-12)  # D stays as it is
    trainer = dcgan.Trainer(settings, 1, torch.device("cpu"))
    real, z = torch.rand(8, 1, 16, 16) * 2 - 1, torch.randn(8, 3, 1, 1)
    trainer.latents = lambda count, generator=None: z  # type: ignore[method-assign]
    fake = trainer.g(z)
    real_d, fake_d = trainer.d(real).sigmoid(), trainer.d(fake.detach()).sigmoid()
    loss_d = -(real_d.log().mean() + (1 - fake_d).log().mean())
    expected = torch.autograd.grad(loss_d, list(trainer.d.parameters()))
    loss_g = -trainer.d(fake).sigmoid().log().mean()
    expected_g = torch.autograd.grad(loss_g, list(trainer.g.parameters()))
    losses = trainer.step(real)
    assert losses[1].item() == pytest.approx(loss_g.item(), rel=1e-4)
    for parameter, gradient in zip(trainer.g.parameters(), expected_g, strict=True):
        assert torch.allclose(parameter.grad, gradient, atol=1e-6, rtol=1e-3)
    assert losses[0].item() == pytest.approx(loss_d.item(), rel=1e-4)
    for parameter, gradient in zip(trainer.d.parameters(), expected, strict=True):
        assert torch.allclose(parameter.grad, gradient, atol=1e-5)
    assert all(p.requires_grad for p in (*trainer.g.parameters(), *trainer.d.parameters()))


def test_what_the_generator_shows_depends_on_nothing_beside_it_and_it_goes_on_training() -> None:
    """Batch norm takes what it has learnt while it is looked at, and learns on when it is trained."""
    settings = dcgan.Settings(image_size=16, ngf=2, ndf=2, nz=3)
    trainer = dcgan.Trainer(settings, 1, torch.device("cpu"))
    trainer.step(torch.rand(8, 1, 16, 16))
    z = torch.randn(5, 3, 1, 1)
    assert torch.allclose(trainer.generate(z)[:1], trainer.generate(z[:1]), atol=1e-6)
    assert trainer.g.training


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_the_optimisers_are_set_as_asked(name: str) -> None:
    settings = dcgan.Settings(optimizer=name, lr=3e-4, beta1=0.4, beta2=0.99, weight_decay=0.1, ngf=2, ndf=2)
    trainer = dcgan.Trainer(settings, 1, torch.device("cpu"))
    for optimizer in (trainer.optimizer_g, trainer.optimizer_d):
        assert type(optimizer) is {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[name]
        assert {k: optimizer.defaults[k] for k in ("lr", "betas", "weight_decay")} == {
            "lr": 3e-4,
            "betas": (0.4, 0.99),
            "weight_decay": 0.1,
        }


def test_data_that_do_not_fit_on_the_device_come_in_the_same_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = dcgan.Settings(**TINY)

    def batches() -> list[torch.Tensor]:
        torch.manual_seed(1)
        return list(dcgan.Data(settings, torch.device("cpu")).batches(64))

    resident = batches()
    monkeypatch.setattr(dcgan, "fits", lambda *_: False)
    read_ahead = batches()
    assert len(resident) == 1337 // 64
    assert all(torch.equal(a, b) for a, b in zip(resident, read_ahead, strict=True))
    assert len({image.numpy().tobytes() for batch in resident for image in batch}) > 1200, "hardly any comes twice"


@pytest.mark.parametrize(("gigabytes", "fit"), [(3, True), (5, False)])
@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_images_are_copied_to_a_device_where_they_take_less_than_half_of_what_is_free(
    monkeypatch: pytest.MonkeyPatch, device: str, gigabytes: int, fit: bool
) -> None:
    images = torch.empty(1, dtype=torch.uint8).expand(gigabytes * 10**9)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (8 * 10**9, 80 * 10**9))
    monkeypatch.setattr(torch.mps, "recommended_max_memory", lambda: 10 * 10**9)
    monkeypatch.setattr(torch.mps, "driver_allocated_memory", lambda: 2 * 10**9)
    assert dcgan.fits(images, torch.device(device)) is fit
    assert dcgan.fits(images, torch.device("cpu"))


# Training


def test_the_score_falls_as_the_images_get_better_and_a_tiny_rate_ranks_worst_though_its_loss_is_best(
    reports: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Small, what docs/models.md has of Fashion-MNIST: noise > epoch 1 > 2 > 4, and what loss_G is worth."""
    learning = {**TINY, "ngf": 16, "ndf": 16, "batch_size": 16, "epochs": 4}

    def trained(lr: float) -> tuple[list[float], float]:
        result = dcgan.run({**learning, "lr": lr})
        values = scores(reports)
        reports.unlink()
        assert values[-1] == result["val_loss"]
        return values, float(capsys.readouterr().out.split("loss_G ")[-1].split()[0])

    settings = dcgan.Settings(**learning)
    data = dcgan.Data(settings, torch.device("cpu"))
    values, loss_g = trained(1e-3)
    network = dcgan.feature_network(data.images, data.labels, Path("features"), data.device, chosen=data.train)
    noise = dcgan.Yardstick(data.validation, network).score(torch.rand_like(data.validation) * 2 - 1)["mmd2"]
    assert noise > values[0] > values[1] > values[3]
    slow, slow_loss_g = trained(1e-5)
    assert slow[-1] > values[0] and slow_loss_g < loss_g


def test_what_it_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HPO_CHECKPOINT_DIR", str(tmp_path / "checkpoints"))
    dcgan.run({**TINY, "epochs": 5, "save_every": 2})
    assert {p.name for p in tmp_path.glob("*.png")} == {"real.png", *(f"generated_{n}.png" for n in (2, 4, 5))}
    assert {p.name for p in (tmp_path / "checkpoints").iterdir()} == {"checkpoint_4.pt", "checkpoint_5.pt"}


def test_divergence_is_an_error_not_a_number() -> None:
    with pytest.raises(FloatingPointError, match=r"diverged: MMD\^2 is nan after epoch 1"):
        dcgan.run({**TINY, "lr": 1e30})


def test_trials_of_an_experiment_share_the_feature_network(tmp_path: Path) -> None:
    (tmp_path / "experiment.json").touch()
    for name in ("a", "b"):
        dcgan.run({**TINY, "epochs": 1, "output_dir": str(tmp_path / "run" / name)})
    assert len(list((tmp_path / "features").glob("features_*.pt"))) == 1
    assert not list((tmp_path / "run").rglob("features*"))


@pytest.mark.parametrize(
    "hyperparams",
    [{"precision": "bfloat16"}, {"optimizer": "adamw", "weight_decay": 0.01}, {"dataset": "fake", "image_size": 32}],
)
def test_every_hyperparameter_trains(hyperparams: dict[str, Any]) -> None:
    assert 0 < dcgan.run({**TINY, "epochs": 1, **hyperparams})["val_loss"] < 2


def test_a_trace_of_the_first_steps(tmp_path: Path) -> None:
    dcgan.run({**TINY, "epochs": 1, "profile": True})
    assert json.loads((tmp_path / "trace.json").read_text())["traceEvents"]


def test_scalars_for_tensorboard(reports: Path, tmp_path: Path) -> None:
    """Read back as TensorBoard reads them."""
    from tensorboard.backend.event_processing import event_accumulator

    dcgan.run({**TINY, "epochs": 2, "log_every": 15, "tensorboard": True})
    events = event_accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert sorted(events.Tags()["scalars"]) == ["loss/D", "loss/G", "score/mmd2", "score/swd"]
    assert [event.step for event in events.Scalars("loss/G")] == [15, 20, 35, 40]
    values = [event.value for event in events.Scalars("score/mmd2")]
    assert values == pytest.approx(scores(reports)), "in single precision"


KILLED = """
import json, os, signal, sys
import dcgan
from hpo.training import checkpoint

save, last = checkpoint.save, int(sys.argv[2])

def save_and_die(state, step, keep):
    save(state, step, keep=keep)
    if step == last:
        os.kill(os.getpid(), signal.SIGKILL)

checkpoint.save = save_and_die
print(dcgan.run(json.loads(sys.argv[1]))["val_loss"])
"""


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True)


def test_killed_it_goes_on_from_its_checkpoint_bit_for_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hyperparams = {**TINY, "epochs": 4, "seed": 3}
    uninterrupted = dcgan.run(hyperparams)["val_loss"]
    monkeypatch.setenv("HPO_CHECKPOINT_DIR", str(tmp_path / "attempt"))
    monkeypatch.setenv("PYTHONPATH", str(MODELS))
    assert python("-c", KILLED, json.dumps(hyperparams), "2").returncode == -signal.SIGKILL
    second = python("-c", KILLED, json.dumps(hyperparams), "0")
    assert second.returncode == 0, second.stderr
    assert second.stdout.startswith("epoch 3 ")
    assert float(second.stdout.splitlines()[-1]) == uninterrupted


def test_paused_in_every_epoch_it_ends_alike(reports: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hyperparams = {**TINY, "epochs": 3}
    monkeypatch.setenv("HPO_CHECKPOINT_DIR", str(tmp_path / "none"))
    uninterrupted = dcgan.run(hyperparams)["val_loss"]
    expected = scores(reports)
    reports.unlink()
    monkeypatch.setenv("HPO_STOP_FILE", str(tmp_path / "stop"))
    monkeypatch.setenv("HPO_CHECKPOINT_DIR", str(tmp_path / "checkpoints"))
    (tmp_path / "stop").write_text("pause")
    values = [dcgan.run(hyperparams)["val_loss"] for _ in range(3)]
    assert values == scores(reports) == expected
    assert values[-1] == uninterrupted == dcgan.run(hyperparams)["val_loss"]


def test_an_attempt_that_finds_nothing_left_to_do_has_the_checkpoint_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HPO_CHECKPOINT_DIR", str(tmp_path / "first"))
    result = dcgan.run({**TINY, "epochs": 1})
    monkeypatch.setenv("HPO_CHECKPOINT_DIR", str(tmp_path / "second"))
    monkeypatch.setenv("HPO_RESTORE_FROM", str(tmp_path / "first"))
    assert dcgan.run({**TINY, "epochs": 1}) == result
    first, second = (dcgan.load(tmp_path / name)[0].state_dict() for name in ("first", "second"))
    assert all(torch.equal(first[name], second[name]) for name in first)


# By hand


def words(hyperparams: dict[str, Any]) -> list[str]:
    return [f"--{name}={value}" for name, value in hyperparams.items()]


def test_by_hand_train_resume_sample_walk_and_test(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def here(*arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", [dcgan.__file__, *arguments])
        dcgan.by_hand.main(dcgan.SCRIPT, "", dcgan.Settings, dcgan.run, dcgan.COMMANDS)

    training = [dcgan.__file__, *words(TINY), "--output-dir", "first"]
    done = python(*training, "--epochs", "1")
    assert done.returncode == 0, done.stderr
    again = python(*training, "--epochs", "2")
    assert (again.returncode, again.stderr) == (
        1,
        "dcgan.py: first/checkpoints has checkpoints: go on with --resume, or choose another --output-dir\n",
    )
    resumed = python(*training, "--epochs", "2", "--resume")
    assert resumed.returncode == 0, resumed.stderr
    assert resumed.stdout.startswith("epoch 2 ")
    other = python(*training, "--ngf", "8", "--epochs", "3", "--resume")
    assert other.stderr == "dcgan.py: the checkpoint to go on from was made with ngf = 4, not 8\n"

    here("sample", "--checkpoint", "first", "--grid", "3", "-o", "a.png")
    assert size("a.png") == (3 * 18 * 2, 3 * 18 * 2)
    here("slerp", "--checkpoint", "first/checkpoints/checkpoint_2.pt", "--frames", "6", "-o", "w.gif")
    with Image.open("w.gif") as picture:
        assert picture.n_frames == 6 and picture.size == (128, 128)
    capsys.readouterr()
    here("test", "--checkpoint", "first")
    validation = ast.literal_eval(resumed.stdout.splitlines()[-1])["val_loss"]
    assert float(capsys.readouterr().out) == pytest.approx(validation, rel=0.1)


@pytest.mark.parametrize(("validation", "compared"), [(100, 100), (2000, 1437 // 5)])
def test_as_many_test_images_are_compared_with_as_there_were_to_validate(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, validation: int, compared: int
) -> None:
    """The estimate of MMD^2 is then as exact; of a small data set a fifth was held out, whatever was asked for."""
    monkeypatch.setenv("HPO_CHECKPOINT_DIR", str(tmp_path))
    counts = []
    score = dcgan.Yardstick.score
    monkeypatch.setattr(
        dcgan.Yardstick, "score", lambda self, images: (counts.append(len(images)), score(self, images))[1]
    )
    dcgan.run({**TINY, "validation": validation, "epochs": 1})
    monkeypatch.setattr(sys, "argv", [dcgan.__file__, "test", "--checkpoint", str(tmp_path)])
    dcgan.by_hand.main(dcgan.SCRIPT, "", dcgan.Settings, dcgan.run, dcgan.COMMANDS)
    assert counts == [compared, compared]


def test_what_can_hold_no_film_is_refused_before_one_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [dcgan.__file__, "slerp", "--checkpoint", "nowhere", "-o", "walk.jpg"])
    with pytest.raises(SystemExit) as refused:
        dcgan.by_hand.main(dcgan.SCRIPT, "", dcgan.Settings, dcgan.run, dcgan.COMMANDS)
    assert refused.value.code == (
        "dcgan.py: walk.jpg can hold no film: give -o a name that ends in .gif, .png or .webp"
    )


def size(name: str) -> tuple[int, int]:
    with Image.open(name) as picture:
        return picture.size


def test_what_is_drawn_is_what_the_generator_makes_when_it_is_used_not_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batch norm takes what it has learnt, so that a picture does not depend on those drawn beside it."""
    monkeypatch.setenv("HPO_CHECKPOINT_DIR", str(tmp_path))
    dcgan.run({**TINY, "epochs": 1})
    generator, settings, *_ = dcgan.load(tmp_path)
    z = torch.randn(5, settings.nz)
    with torch.no_grad():
        assert torch.allclose(dcgan.generated(generator, z)[:1], dcgan.generated(generator, z[:1]), atol=1e-6)


def test_what_is_no_checkpoint_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.pt").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"x\.pt is damaged, or no checkpoint of dcgan\.py"):
        dcgan.load(tmp_path / "x.pt")
    torch.save({"state": {"script": "vae.py"}}, tmp_path / "vae.pt")
    with pytest.raises(ValueError, match=r"vae\.pt is a checkpoint of vae\.py, not of dcgan\.py"):
        dcgan.load(tmp_path / "vae.pt")


# Mistakes


@pytest.mark.parametrize(
    ("hyperparams", "sentence"),
    [
        ({"image_size": 48}, "image_size must be a power of two from 16, not 48"),
        ({"channels": 3}, "channels = 3, but digits has 1"),
        ({"channels": 2}, "channels must be 1 or 3, not 2"),
        ({"batch_size": 5000}, "batch_size = 5000 is more than the 1337 training images"),
        ({"validation": 1}, "validation must be a whole number from 2, not 1"),
        (
            {"tensorboard": "no", "profile": 1},
            "tensorboard must be true or false, not 'no'; profile must be true or false, not 1",
        ),
        ({"beta1": 1}, "beta1 must be a number from 0, below 1, not 1"),
        (
            {"optimizer": "sgd", "lr": 0},
            "lr must be a number above 0, not 0; optimizer must be one of adam, adamw, not 'sgd'",
        ),
        ({"device": "meta"}, "device must be auto, cpu, cuda, one of several such as cuda:1, or mps, not 'meta'"),
        ({"device": "cpu:x"}, "device = 'cpu:x' cannot be used here (Invalid device string: 'cpu:x'); cpu always can"),
        ({"seed": "abc"}, "seed must be a whole number from -2**63, below 2**64, not 'abc'"),
        (
            {"rng_seed": 1.5, "threads": "two"},
            "rng_seed must be a whole number from -2**63, below 2**64, not 1.5; "
            "threads must be a whole number from 0, not 'two'",
        ),
        ({"threads": -1}, "threads must be a whole number from 0, not -1"),
        ({"dataset": "folder"}, "dataset = 'folder' needs data_folder, the folder of the pictures"),
        (
            {"dataset": "celeba"},
            "dataset must be one of digits, mnist, fashion_mnist, cifar10, fake, folder, not 'celeba'",
        ),
    ],
)
def test_an_impossible_value_is_named(
    hyperparams: dict[str, Any], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert mistake(monkeypatch, hyperparams) == sentence


def mistake(monkeypatch: pytest.MonkeyPatch, hyperparams: dict[str, Any]) -> str:
    """What a trial fails with; by hand the same is one line, without a traceback."""
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        dcgan.run({**TINY, **hyperparams})
    sentence = str(caught.value)
    monkeypatch.setattr(sys, "argv", [dcgan.__file__, *words({**TINY, **hyperparams})])
    monkeypatch.setenv("HPO_CHECKPOINT_DIR", "checkpoints")
    with pytest.raises(SystemExit) as refused:
        dcgan.by_hand.main(dcgan.SCRIPT, "", dcgan.Settings, dcgan.run, dcgan.COMMANDS)
    assert refused.value.code == f"dcgan.py: {sentence}"
    assert "\n" not in sentence
    return sentence


def test_tensorboard_is_asked_for_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ValueError, match="tensorboard = true needs the package tensorboard: install it"):
        dcgan.run({**TINY, "dataset": "folder", "tensorboard": True})  # said before anything is looked for


def pictures(folder: Path, count: int, damaged: int = 0) -> None:
    folder.mkdir()
    for n in range(count):
        Image.effect_noise((40 + n, 30), 90).convert("RGB").save(folder / f"{n:03}.png")
    for n in range(damaged):
        (folder / f"broken_{n}.jpg").write_bytes(b"no picture")


@pytest.fixture
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HPO_DATA", str(tmp_path / "data"))


FOLDER = {"dataset": "folder", "data_folder": "pictures", "batch_size": 8, "epochs": 1}


@pytest.mark.usefixtures("_own_cache")
def test_a_folder_of_pictures_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures(tmp_path / "pictures", 20)
    first = dcgan.run({**TINY, **FOLDER})
    assert len(list((tmp_path / "data/decoded").glob("*.npy"))) == 1
    monkeypatch.setattr(dcgan.image_data, "_decoded", lambda *_: pytest.fail("decoded again"))
    assert dcgan.run({**TINY, **FOLDER}) == first


@pytest.mark.usefixtures("_own_cache")
def test_damaged_pictures_are_named_and_skipped_only_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures(tmp_path / "pictures", 20, damaged=4)
    first_three = ", ".join(f"pictures/broken_{n}.jpg" for n in range(3))
    assert (
        mistake(monkeypatch, FOLDER)
        == f"damaged pictures: {first_three} and 1 more; skip_damaged = true leaves them out"
    )
    assert dcgan.run({**TINY, **FOLDER, "skip_damaged": True, "channels": 1})["val_loss"] < 2


def test_an_empty_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pictures").mkdir()
    sentence = mistake(monkeypatch, FOLDER)
    assert sentence.startswith("there are no pictures (.bmp, .gif, ")
    assert sentence.endswith(f" in {tmp_path}/pictures")


@pytest.mark.usefixtures("_own_cache")
def test_it_does_not_go_on_with_other_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is held out of them, it may have been trained on."""
    monkeypatch.setenv("HPO_CHECKPOINT_DIR", "first")
    pictures(tmp_path / "pictures", 20)
    dcgan.run({**TINY, **FOLDER})
    Image.new("RGB", (16, 16)).save("pictures/another.png")
    with pytest.raises(ValueError) as caught:
        dcgan.run({**TINY, **FOLDER, "epochs": 2})
    assert re.fullmatch(
        r"the checkpoint was made with other data: 20 images of 3x16x16 \(.{8}\), "
        r"not 21 images of 3x16x16 \(.{8}\); give those with data_folder or HPO_DATA",
        str(caught.value),
    )


def test_it_goes_on_with_the_feature_network_that_it_began_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scores of two networks cannot be compared, and one that is trained anew elsewhere may be another."""
    uninterrupted = dcgan.run({**TINY, "epochs": 2})
    monkeypatch.setenv("HPO_CHECKPOINT_DIR", str(tmp_path / "first"))
    dcgan.run({**TINY, "epochs": 1})
    monkeypatch.setattr(dcgan, "feature_network", lambda *_, **__: dcgan.Features(1).requires_grad_(False))
    assert dcgan.run({**TINY, "epochs": 2}) == uninterrupted


@pytest.mark.usefixtures("_own_cache")
def test_a_batch_larger_than_the_data_and_a_folder_without_test_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures(tmp_path / "pictures", 20)
    too_large = "batch_size = 17 is more than the 16 training images"
    assert mistake(monkeypatch, {**FOLDER, "batch_size": 17}) == too_large
    monkeypatch.setenv("HPO_CHECKPOINT_DIR", "first")
    dcgan.run({**TINY, **FOLDER})
    monkeypatch.setattr(sys, "argv", [dcgan.__file__, "test", "--checkpoint", "first"])
    with pytest.raises(SystemExit, match=r"dcgan\.py: the data set folder has no test images"):
        dcgan.by_hand.main(dcgan.SCRIPT, "", dcgan.Settings, dcgan.run, dcgan.COMMANDS)
