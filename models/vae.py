"""A variational autoencoder (Kingma & Welling 2014, https://arxiv.org/abs/1312.6114) on small images.

The architecture is that of the pytorch example, 784-400-20. `run(hyperparams)` trains it and returns the validation
loss, the negative evidence lower bound in nats per image (lower is better). By hand:

    python models/vae.py --epochs 2 --output-dir first
    python models/vae.py sample --checkpoint first --grid 8 -o samples.png          # images from the prior
    python models/vae.py reconstruct --checkpoint first -o reconstructions.png      # real ones above the model's
    python models/vae.py walk --checkpoint first --grid 20 -o walk.png              # a plane of the latent space
    python models/vae.py test --checkpoint first                                    # the loss on the test images

A checkpoint is a file, or the folder of a run or trial with checkpoints in it. The first command with `--resume` goes
on at the epoch after the last one. The validation images are training images that were held out; the test images are
for the winner, once (or, with `--validation 0`, train on all the others and score on these).
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from PIL import Image  # noqa: F401  for image_data: what the head of a script imports is imported once for all trials
from torch import Tensor, nn
from torch.nn import functional as F

import by_hand
import image_data
from latent_space import normal_plane, plane
from model_settings import check, from_hyperparams, is_real, is_whole, pick_device, shared_rules, use_threads

try:
    from hpo import training
except ImportError:  # the script also runs where hpo is not installed: nobody listens, nothing is kept
    training = SimpleNamespace(
        seed_everything=torch.manual_seed,
        report=lambda *_: False,
        checkpoint=SimpleNamespace(restore=lambda: None, save=lambda *_, **__: None),
    )

SCRIPT = "vae.py"  # named in its checkpoints and messages
ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "elu": nn.ELU, "gelu": nn.GELU, "silu": nn.SiLU}


@dataclass
class Settings:
    """Every hyperparameter and its default. A trial's dictionary may hold any of them, and others."""

    dataset: str = "digits"  # digits, mnist, fashion_mnist, cifar10, fake
    data_folder: str = ""  # where the data set is; empty: $HPO_DATA, else the user's cache
    validation: float = 1 / 6  # training images held out, a fraction or a number; 0: none, score on the test images
    test: bool = False  # also score on the test images
    epochs: int = 10
    batch_size: int = 128
    lr: float = 1e-3  # of Adam
    lr_schedule: str = "constant"  # or cosine: falls to 0 over the epochs, whose number then stays
    hidden_size: int | list[int] = 400  # of the encoder's hidden layer or layers; the decoder mirrors them
    layers: int = 1  # hidden layers, when hidden_size is one number
    hidden_size_2: int | None = None  # of the second layer, so that a search can vary it; None: as the first
    hidden_size_3: int | None = None  # of the third layer and all after it; None: as the second
    latent_size: int = 20
    activation: str = "relu"  # a name of ACTIVATIONS
    likelihood: str = "bernoulli"  # or gaussian, with a learnt variance; the losses of the two cannot be compared
    beta: float = 1.0  # weight of the divergence while training (Higgins 2017); the validation loss always has 1
    patience: int = 0  # stop after so many epochs without a lower loss, and go back to the lowest; 0: never
    precision: str = "float32"  # or bfloat16: autocast
    device: str = "auto"  # the accelerator if there is one; or cpu, cuda, cuda:1, mps
    threads: int = 0  # of the CPU; 0: as the environment says, else 1
    seed: int | None = None  # None: rng_seed, which hpo sets for each trial
    rng_seed: int = 1
    output_dir: str = "."  # the run's folder, for pictures

    def __post_init__(self) -> None:
        """ValueError with a sentence for every impossible value."""
        rules = {
            "epochs": (is_whole(self.epochs), "a whole number from 1"),
            "batch_size": (is_whole(self.batch_size), "a whole number from 1"),
            "latent_size": (is_whole(self.latent_size), "a whole number from 1"),
            "layers": (is_whole(self.layers), "a whole number from 1"),
            "hidden_size": (all(map(is_whole, as_list(self.hidden_size))), "a whole number from 1, or a list of them"),
            "hidden_size_2": (self.hidden_size_2 is None or is_whole(self.hidden_size_2), "a whole number from 1"),
            "hidden_size_3": (self.hidden_size_3 is None or is_whole(self.hidden_size_3), "a whole number from 1"),
            "validation": (is_real(self.validation), "a number from 0"),
            "patience": (is_real(self.patience), "a number from 0"),
            "lr": (is_real(self.lr) and self.lr > 0, "a number above 0"),
            "beta": (is_real(self.beta), "a number from 0"),
            "activation": (self.activation in tuple(ACTIVATIONS), f"one of {', '.join(ACTIVATIONS)}"),
            "likelihood": (self.likelihood in ("bernoulli", "gaussian"), "bernoulli or gaussian"),
            "lr_schedule": (self.lr_schedule in ("constant", "cosine"), "constant or cosine"),
            "precision": (self.precision in ("float32", "bfloat16"), "float32 or bfloat16"),
        }
        if isinstance(self.hidden_size, list | tuple):
            allowed = {"layers": (1, len(self.hidden_size)), "hidden_size_2": (None,), "hidden_size_3": (None,)}
            for name, values in allowed.items():
                rules[name] = (getattr(self, name) in values, "left out where hidden_size is a list")
        check(self, rules | shared_rules(self))

    def sizes(self) -> list[int]:
        """Of the encoder's hidden layers."""
        if isinstance(self.hidden_size, list | tuple):
            return list(self.hidden_size)
        second = self.hidden_size_2 or self.hidden_size
        return [self.hidden_size, second, *[self.hidden_size_3 or second] * (self.layers - 2)][: self.layers]


def as_list(value: Any) -> list[Any]:
    """A list as it is, anything else as a list of one."""
    return list(value) if isinstance(value, list | tuple) else [value]


class VAE(nn.Module):
    """q(z|x) is a normal distribution with diagonal covariance, p(z) the standard one."""

    def __init__(self, pixels: int, hidden: list[int], latent: int, activation: str, likelihood: str) -> None:
        super().__init__()
        self.latent = latent
        self.encoder = _mlp([pixels, *hidden, 2 * latent], ACTIVATIONS[activation])
        self.decoder = _mlp([latent, *reversed(hidden), pixels], ACTIVATIONS[activation])
        self.log_variance = nn.Parameter(torch.zeros(())) if likelihood == "gaussian" else None

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return self.encoder[0].weight.device

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance of q(z|x): (B, pixels) -> 2 x (B, latent)."""
        mean, log_variance = self.encoder(x).float().chunk(2, dim=1)
        return mean, log_variance

    def decode(self, z: Tensor) -> Tensor:
        """Return the mean of p(x|z): (B, latent) -> (B, pixels)."""
        out = self.decoder(z).float()
        return out.sigmoid() if self.log_variance is None else out

    def negative_elbo(self, x: Tensor, noise: Tensor, beta: float = 1.0) -> Tensor:
        """Return minus the evidence lower bound, the mean over the batch, in nats: (B, pixels), (B, latent) -> ()."""
        mean, log_variance = self.encode(x)
        z = mean + noise * (0.5 * log_variance).exp()
        divergence = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum()  # appendix B
        return (self._reconstruction_error(self.decoder(z).float(), x) + beta * divergence) / len(x)

    def _reconstruction_error(self, out: Tensor, x: Tensor) -> Tensor:
        """-log p(x|z), summed over the batch (appendix C); constants are kept, so that it is a likelihood."""
        if self.log_variance is None:
            return F.binary_cross_entropy_with_logits(out, x, reduction="sum")
        error = (out - x) ** 2 / self.log_variance.exp() + self.log_variance + math.log(2 * math.pi)
        return 0.5 * error.sum()


def _mlp(sizes: list[int], activation: type[nn.Module]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), activation()]
    return nn.Sequential(*layers[:-1])


def build(settings: Settings, pixels: int) -> VAE:
    """The model that the settings describe."""
    return VAE(pixels, settings.sizes(), settings.latent_size, settings.activation, settings.likelihood)


class Data:
    """The data set on the device, as bytes; batches come as (B, pixels) from 0 to 1."""

    def __init__(self, settings: Settings, device: torch.device) -> None:
        images = image_data.load(settings.dataset, settings.data_folder)
        train, held_out = image_data.hold_out(images.train, settings.validation)
        self.train, self.test = train.to(device), images.test.to(device)
        self.validation = held_out.to(device) if len(held_out) else self.test
        self.white, self.fingerprint = images.white, images.fingerprint
        self.shape = images.train.shape[1:]  # (channels, height, width)

    def batches(self, images: Tensor, size: int, *, shuffled: bool = False) -> Iterator[Tensor]:
        """Yield all of `images`, `size` at a time."""
        order = torch.randperm(len(images)) if shuffled else torch.arange(len(images))
        for index in order.to(images.device).split(size):
            yield images[index].flatten(1).float() / self.white

    def examples(self, count: int) -> Tensor:
        """The first `count` images that the model was not trained on, or all there are: (n, pixels)."""
        return next(self.batches(torch.cat([self.validation, self.test])[:count], count))


def train_epoch(
    model: VAE, optimizer: torch.optim.Optimizer, data: Data, settings: Settings, autocast: torch.autocast
) -> None:
    """One pass over the training images, in random order."""
    for x in data.batches(data.train, settings.batch_size, shuffled=True):
        with autocast:
            loss = model.negative_elbo(x, torch.randn(len(x), model.latent, device=x.device), settings.beta)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@torch.no_grad()
def evaluate(model: VAE, data: Data, images: Tensor, batch_size: int = 1024) -> float:
    """Return the negative ELBO per image, with the same noise every time: two models differ by what they are."""
    generator = torch.Generator().manual_seed(0)
    total = torch.zeros((), device=images.device)
    for x in data.batches(images, batch_size):
        noise = torch.randn(len(x), model.latent, generator=generator).to(x.device)
        total += model.negative_elbo(x, noise) * len(x)
    return total.item() / len(images)


def fit(model: VAE, data: Data, settings: Settings) -> float:
    """Train `model` and return its validation loss. FloatingPointError when the training diverges."""
    device = data.train.device
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.lr, fused=True)
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=settings.precision == "bfloat16")
    loss = untrained = evaluate(model, data, data.validation)
    best = {"epoch": 0, "loss": math.inf, "model": {}}
    epoch = 0
    if saved := training.checkpoint.restore():  # of an earlier attempt at this trial
        by_hand.check_same(saved, asdict(settings), data.fingerprint)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        epoch, loss, best = saved["epoch"], saved["loss"], saved["best"]

    def save(every: float) -> None:
        state = {"script": SCRIPT, "settings": asdict(settings), "shape": list(data.shape), "data": data.fingerprint}
        state |= {"epoch": epoch, "loss": loss, "best": best}
        state |= {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
        training.checkpoint.save(state, step=epoch, every=every)

    while epoch < settings.epochs and not 0 < settings.patience <= epoch - best["epoch"]:
        began = time.perf_counter()
        if settings.lr_schedule == "cosine":
            set_lr(optimizer, settings.lr * (1 + math.cos(math.pi * epoch / settings.epochs)) / 2)
        train_epoch(model, optimizer, data, settings, autocast)
        epoch, loss = epoch + 1, evaluate(model, data, data.validation)
        print(f"epoch {epoch}: validation loss {loss:.4f} ({time.perf_counter() - began:.2f} s)", flush=True)
        if not loss < 10 * untrained:
            raise FloatingPointError(f"diverged: validation loss {loss:g} after epoch {epoch}, {untrained:g} before")
        if loss < best["loss"]:
            best = {"epoch": epoch, "loss": loss, "model": copy_of(model) if settings.patience else {}}
        if training.report(epoch, loss):
            break
        save(every=60)

    save(every=0)
    if not settings.patience:
        return loss
    model.load_state_dict(best["model"])
    return best["loss"]


def copy_of(model: nn.Module) -> dict[str, Tensor]:
    """The weights as they are now."""
    return {name: value.clone() for name, value in model.state_dict().items()}


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Use `lr` from now on."""
    for group in optimizer.param_groups:
        group["lr"] = lr


def run(hyperparams: Mapping[str, Any]) -> float | dict[str, float]:
    """Train with `hyperparams` (see Settings) and return the validation loss, with `test` also the test loss.

    ValueError for a misspelt name or an impossible value, FileNotFoundError without data, FloatingPointError when the
    training diverges.
    """
    settings = from_hyperparams(Settings, hyperparams)
    folder = Path(settings.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    use_threads(settings.threads)
    training.seed_everything(settings.rng_seed if settings.seed is None else settings.seed)
    device = pick_device(settings.device)
    data = Data(settings, device)
    if len(data.train) < settings.batch_size:
        raise ValueError(f"batch_size = {settings.batch_size} is more than the {len(data.train)} training images")
    model = build(settings, math.prod(data.shape)).to(device)
    loss = fit(model, data, settings)
    save_pictures(model, data, folder)
    return {"val_loss": loss, "test_loss": evaluate(model, data, data.test)} if settings.test else loss


# -- pictures, of a model that is in memory


@torch.no_grad()
def save_pictures(model: VAE, data: Data, folder: Path) -> None:
    """Write what the model has learnt as samples.png, reconstructions.png and walk.png."""
    x = data.examples(8)
    pictures = {
        "samples": sampled(model, 64),
        "reconstructions": reconstructed(model, x, columns=8),
        "walk": walked(model, 8, corners=x[:4]),
    }
    for name, images in pictures.items():
        image_data.save_grid(images.view(-1, *data.shape), folder / f"{name}.png", columns=8)


def sampled(model: VAE, count: int, seed: int = 0) -> Tensor:
    """Images from the prior: (count, pixels)."""
    z = torch.randn(count, model.latent, generator=torch.Generator().manual_seed(seed))
    return model.decode(z.to(model.device))


def reconstructed(model: VAE, x: Tensor, columns: int) -> Tensor:
    """Each row of images above the row of what the model makes of them: (N, pixels) -> (2 N, pixels)."""
    mean, _ = model.encode(x)
    rows = zip(x.split(columns), model.decode(mean).split(columns), strict=True)
    return torch.cat([part for pair in rows for part in pair])


def walked(model: VAE, steps: int, corners: Tensor | None = None, dimensions: tuple[int, int] | None = None) -> Tensor:
    """A plane of the latent space as images: (steps * steps, pixels).

    Two dimensions, of a larger space the two that are named, go through the quantiles of the prior, with zero for all
    others; else the plane has four images, `corners` (4, pixels), at its corners.
    """
    if dimensions or model.latent == 2:
        z = normal_plane(model.latent, *(dimensions or (0, 1)), steps)
    else:
        z = plane(model.encode(corners)[0], steps)
    return model.decode(z.to(model.device))


# -- from a checkpoint


def load(path: str | Path) -> tuple[VAE, Settings, Mapping[str, Any]]:
    """Return the best model in a checkpoint, its settings, and all that is in it."""

    def restored(state: Mapping[str, Any]) -> tuple[VAE, Settings, Mapping[str, Any]]:
        settings = from_hyperparams(Settings, state["settings"])
        model = build(settings, math.prod(state["shape"]))
        model.load_state_dict(state["best"]["model"] or state["model"])
        return model, settings, state

    return by_hand.load(path, SCRIPT, restored)


def load_data(settings: Settings, state: Mapping[str, Any], arguments: argparse.Namespace) -> Data:
    """Return the data set that the model was trained on. ValueError when it is not what is there now."""
    data = Data(replace(settings, data_folder=arguments.data_folder or settings.data_folder), pick_device("auto"))
    by_hand.check_data(state.get("data"), data.fingerprint)
    return data


@torch.no_grad()
def sample(arguments: argparse.Namespace) -> None:
    """Draw grid x grid images from the prior."""
    model, _, state = load(arguments.checkpoint)
    images = sampled(model, arguments.grid**2, arguments.seed).view(-1, *state["shape"])
    image_data.save_grid(images, arguments.output, arguments.grid)


@torch.no_grad()
def reconstruct(arguments: argparse.Namespace) -> None:
    """Draw rows of images that were held out, each above what the model makes of them."""
    model, settings, state = load(arguments.checkpoint)
    data = load_data(settings, state, arguments)
    x = data.examples(arguments.grid * max(1, arguments.grid // 2))
    columns = min(arguments.grid, len(x))
    x = x[: len(x) // columns * columns]
    images = reconstructed(model.to(x.device), x, columns).view(-1, *data.shape)
    image_data.save_grid(images, arguments.output, columns)


@torch.no_grad()
def walk(arguments: argparse.Namespace) -> None:
    """Draw grid x grid images from a plane of the latent space (see `walked`)."""
    model, settings, state = load(arguments.checkpoint)
    dimensions, corners = arguments.dimensions, None
    if dimensions and not (0 <= min(dimensions) < max(dimensions) < model.latent):
        raise ValueError(f"--dimensions must be two different ones of 0 to {model.latent - 1}")
    if not dimensions and model.latent != 2:
        corners = load_data(settings, state, arguments).examples(4).cpu()
    images = walked(model, arguments.grid, corners, dimensions).view(-1, *state["shape"])
    image_data.save_grid(images, arguments.output, arguments.grid)


def test(arguments: argparse.Namespace) -> None:
    """Print the loss on the test images: for the winner of a search, once."""
    model, settings, state = load(arguments.checkpoint)
    data = load_data(settings, state, arguments)
    print(evaluate(model.to(data.test.device), data, data.test))


PLANE = {
    "--dimensions": {"type": int, "nargs": 2, "metavar": ("I", "J"), "help": "of the latent space, from 0 [corners]"}
}
COMMANDS = {
    "sample": by_hand.Command(sample, "samples.png", {"--grid": by_hand.count(8, "images in a row"), **by_hand.SEED}),
    "reconstruct": by_hand.Command(
        reconstruct, "reconstructions.png", {"--grid": by_hand.count(8, "images in a row"), **by_hand.DATA}
    ),
    "walk": by_hand.Command(
        walk, "walk.png", {"--grid": by_hand.count(20, "images in a row"), **PLANE, **by_hand.DATA}
    ),
    "test": by_hand.Command(test, None, by_hand.DATA),
}

if __name__ == "__main__":
    by_hand.main(SCRIPT, __doc__, Settings, run, COMMANDS)
