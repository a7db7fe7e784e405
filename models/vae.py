"""A variational autoencoder (Kingma & Welling 2014, https://arxiv.org/abs/1312.6114) on small images.

The architecture is that of the pytorch example, 784-400-20. `run(hyperparams)` trains it and returns the validation
loss, the negative evidence lower bound in nats per image (lower is better). By hand:

    python models/vae.py --epochs 2
    python models/vae.py --dataset mnist --validation 0      # train on all images, score on the test images

The validation images are training images that were held out; the test images are for the winner, once.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from PIL import Image  # noqa: F401  for image_data: what the head of a script imports is imported once for all trials
from torch import Tensor, nn
from torch.nn import functional as F

import image_data
from model_settings import check, from_command_line, from_hyperparams, is_real, is_whole, pick_device, use_threads

try:
    from hpo import training
except ImportError:  # the script also runs where hpo is not installed: nobody listens, nothing is kept
    training = SimpleNamespace(
        seed_everything=torch.manual_seed,
        report=lambda *_: False,
        checkpoint=SimpleNamespace(restore=lambda: None, save=lambda *_, **__: None),
    )

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "elu": nn.ELU, "gelu": nn.GELU, "silu": nn.SiLU}


@dataclass
class Settings:
    """Every hyperparameter and its default. A trial's dictionary may hold any of them; others are ignored."""

    dataset: str = "digits"  # digits, mnist, fashion_mnist, cifar10, fake
    data_folder: str = ""  # where the data set is; empty: $HPO_DATA, else the user's cache
    validation: float = 1 / 6  # training images held out, a fraction or a number; 0: none, score on the test images
    test: bool = False  # also score on the test images
    epochs: int = 10
    batch_size: int = 128
    lr: float = 1e-3  # of Adam
    lr_schedule: str = "constant"  # or cosine: falls to 0 over the epochs
    hidden_size: int | list[int] = 400  # of the encoder's hidden layer or layers; the decoder mirrors them
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
    output_dir: str = "."  # for the pictures

    def __post_init__(self) -> None:
        """ValueError with a sentence for every impossible value."""
        self.hidden_size = self.hidden_size if isinstance(self.hidden_size, list | tuple) else [self.hidden_size]
        rules = {
            "epochs": (is_whole(self.epochs), "a whole number from 1"),
            "batch_size": (is_whole(self.batch_size), "a whole number from 1"),
            "latent_size": (is_whole(self.latent_size), "a whole number from 1"),
            "hidden_size": (all(map(is_whole, self.hidden_size)), "a whole number from 1, or a list of them"),
            "validation": (is_real(self.validation), "a number from 0"),
            "patience": (is_real(self.patience), "a number from 0"),
            "lr": (is_real(self.lr) and self.lr > 0, "a number above 0"),
            "beta": (is_real(self.beta), "a number from 0"),
            "activation": (self.activation in tuple(ACTIVATIONS), f"one of {', '.join(ACTIVATIONS)}"),
            "likelihood": (self.likelihood in ("bernoulli", "gaussian"), "bernoulli or gaussian"),
            "lr_schedule": (self.lr_schedule in ("constant", "cosine"), "constant or cosine"),
            "precision": (self.precision in ("float32", "bfloat16"), "float32 or bfloat16"),
        }
        check(self, rules)


class VAE(nn.Module):
    """q(z|x) is a normal distribution with diagonal covariance, p(z) the standard one."""

    def __init__(self, pixels: int, hidden: list[int], latent: int, activation: str, likelihood: str) -> None:
        super().__init__()
        self.latent = latent
        self.encoder = _mlp([pixels, *hidden, 2 * latent], ACTIVATIONS[activation])
        self.decoder = _mlp([latent, *reversed(hidden), pixels], ACTIVATIONS[activation])
        self.log_variance = nn.Parameter(torch.zeros(())) if likelihood == "gaussian" else None

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


class Data:
    """The data set on the device, as bytes; batches come as (B, pixels) from 0 to 1."""

    def __init__(self, settings: Settings, device: torch.device) -> None:
        images = image_data.load(settings.dataset, settings.data_folder)
        train, held_out = image_data.hold_out(images.train, settings.validation)
        self.train, self.test = train.to(device), images.test.to(device)
        self.validation = held_out.to(device) if len(held_out) else self.test
        self.white = images.white
        self.shape = images.train.shape[1:]  # (channels, height, width)

    def batches(self, images: Tensor, size: int, *, shuffled: bool = False) -> Iterator[Tensor]:
        """Yield all of `images`, `size` at a time."""
        order = torch.randperm(len(images)) if shuffled else torch.arange(len(images))
        for index in order.to(images.device).split(size):
            yield images[index].flatten(1).float() / self.white


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
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        epoch, loss, best = saved["epoch"], saved["loss"], saved["best"]

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
        stop = training.report(epoch, loss)
        state = {"epoch": epoch, "loss": loss, "best": best}
        state |= {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
        training.checkpoint.save(state, step=epoch, every=60)
        if stop:
            return loss

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


@torch.no_grad()
def save_pictures(model: VAE, data: Data, folder: Path) -> None:
    """Write what the model has learnt as three pictures.

    reconstructions.png: images above, theirs below. samples.png: from the prior. walk.png: the plane through the latent
    space that has four of these images at its corners.
    """

    def save(images: Tensor, name: str) -> None:
        image_data.save_grid(images.view(-1, *data.shape), folder / name, columns=8)

    seen = data.validation if len(data.validation) >= 8 else data.test
    x = next(data.batches(seen[:8], 8))
    means, _ = model.encode(x)
    samples = torch.randn(64, model.latent, generator=torch.Generator().manual_seed(0))
    save(torch.cat([x, model.decode(means)]), "reconstructions.png")
    save(model.decode(samples.to(x.device)), "samples.png")
    save(model.decode(plane(means[:4])), "walk.png")


def plane(corners: Tensor, steps: int = 8) -> Tensor:
    """Points between four corners, row by row: (4, latent) -> (steps * steps, latent)."""
    t = torch.linspace(0, 1, steps, device=corners.device).view(-1, 1)
    top, bottom = torch.lerp(corners[0], corners[1], t), torch.lerp(corners[2], corners[3], t)
    return torch.lerp(top, bottom, t.unsqueeze(1)).flatten(0, 1)


def run(hyperparams: Mapping[str, Any]) -> float | dict[str, float]:
    """Train with `hyperparams` (see Settings) and return the validation loss, with `test` also the test loss.

    ValueError for an impossible value, FileNotFoundError without data, FloatingPointError when the training diverges.
    """
    settings = from_hyperparams(Settings, hyperparams)
    use_threads(settings.threads)
    training.seed_everything(settings.rng_seed if settings.seed is None else settings.seed)
    device = pick_device(settings.device)
    data = Data(settings, device)
    model = VAE(
        pixels=math.prod(data.shape),
        hidden=settings.hidden_size,
        latent=settings.latent_size,
        activation=settings.activation,
        likelihood=settings.likelihood,
    ).to(device)
    loss = fit(model, data, settings)
    save_pictures(model, data, Path(settings.output_dir))
    return {"val_loss": loss, "test_loss": evaluate(model, data, data.test)} if settings.test else loss


def main() -> None:
    """Read the hyperparameters from the command line, train, print the result."""
    try:
        print(run(from_command_line(Settings, __doc__)))
    except (ValueError, FileNotFoundError, FloatingPointError) as error:
        sys.exit(f"vae.py: {error}")


if __name__ == "__main__":
    main()
