"""A deep convolutional GAN (Radford, Metz & Chintala 2016, https://arxiv.org/abs/1511.06434).

Networks, initialisation and defaults are those of the pytorch tutorial. `run(hyperparams)` trains it and returns its
validation loss: MMD^2 between generated images and real ones held out from training, in the feature space of a small
fixed network (image_scores.py; lower is better). The losses of generator and discriminator are logged and never
returned: they say how the two stand to each other, not how good the images are. By hand:

    python models/dcgan.py --dataset fashion_mnist --image-size 32 --ngf 16 --ndf 16 --epochs 4 --output-dir first
    python models/dcgan.py sample --checkpoint first --grid 8 -o samples.png    # generated images
    python models/dcgan.py slerp --checkpoint first --frames 60 -o walk.gif     # a closed walk through the latent space
    python models/dcgan.py test --checkpoint first                              # MMD^2 to the test images

A checkpoint is a file, or the folder of a run or trial with checkpoints in it. The first command with `--resume` goes
on at the epoch after the last one.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from PIL import Image  # noqa: F401  for image_data: what the head of a script imports is imported once for all trials
from torch import Tensor, nn
from torch.nn import functional as F

import by_hand
import image_data
from image_scores import Features, Yardstick, feature_network
from latent_space import walk
from model_settings import check, from_hyperparams, is_real, is_whole, pick_device, shared_rules, use_threads

try:
    from hpo import training
except ImportError:  # the script also runs where hpo is not installed: nobody listens, nothing is kept
    training = SimpleNamespace(
        seed_everything=torch.manual_seed,
        report=lambda *_: False,
        checkpoint=SimpleNamespace(restore=lambda: None, save=lambda *_, **__: None),
    )

SCRIPT = "dcgan.py"  # named in its checkpoints and messages
DATASETS = (*image_data.NAMES, "folder")
OPTIMIZERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


@dataclass
class Settings:
    """Every hyperparameter and its default. A trial's dictionary may hold any of them, and others."""

    dataset: str = "fashion_mnist"  # mnist, cifar10, digits, fake, or folder: all pictures below data_folder
    data_folder: str = ""  # where the data set is; empty: $HPO_DATA, else the user's cache
    skip_damaged: bool = False  # leave out pictures that cannot be used
    image_size: int = 64  # pixels; a power of two from 16
    channels: int = 0  # 1 or 3; 0: as the data set has, 3 for a folder
    validation: int = 2000  # real images held out to compare with, 2 or more; of small data sets at most a fifth
    epochs: int = 5
    batch_size: int = 128
    nz: int = 100  # size of the latent vector
    ngf: int = 64  # channels of the generator's last hidden layer; each layer before has twice as many
    ndf: int = 64  # channels of the discriminator's first layer; each layer after has twice as many
    optimizer: str = "adam"  # or adamw
    lr: float = 2e-4
    beta1: float = 0.5
    beta2: float = 0.999
    weight_decay: float = 0.0
    precision: str = "float32"  # or bfloat16: autocast
    log_every: int = 100  # steps between two lines with the losses
    save_every: int = 1  # epochs between two checkpoints and pictures
    keep: int = 2  # checkpoints that stay, the newest ones
    tensorboard: bool = False  # scalars in output_dir/tensorboard
    profile: bool = False  # a trace of the first steps in output_dir/trace.json
    device: str = "auto"  # the accelerator if there is one; or cpu, cuda, cuda:1, mps
    threads: int = 0  # of the CPU; 0: as the environment says, else 1
    seed: int | None = None  # None: rng_seed, which hpo sets for each trial
    rng_seed: int = 1
    output_dir: str = "."  # the run's folder

    def __post_init__(self) -> None:
        """ValueError with a sentence for every impossible value."""
        whole = ("epochs", "batch_size", "nz", "ngf", "ndf", "log_every", "save_every", "keep")
        size = self.image_size
        rules = {name: (is_whole(getattr(self, name)), "a whole number from 1") for name in whole}
        rules |= {
            "validation": (is_whole(self.validation) and self.validation > 1, "a whole number from 2"),
            "dataset": (self.dataset in DATASETS, f"one of {', '.join(DATASETS)}"),
            "image_size": (is_whole(size) and size >= 16 and size & (size - 1) == 0, "a power of two from 16"),
            "channels": (self.channels in (0, 1, 3), "1 or 3"),
            "lr": (is_real(self.lr) and self.lr > 0, "a number above 0"),
            "beta1": (is_real(self.beta1) and self.beta1 < 1, "a number from 0, below 1"),
            "beta2": (is_real(self.beta2) and self.beta2 < 1, "a number from 0, below 1"),
            "weight_decay": (is_real(self.weight_decay), "a number from 0"),
            "optimizer": (self.optimizer in tuple(OPTIMIZERS), f"one of {', '.join(OPTIMIZERS)}"),
            "precision": (self.precision in ("float32", "bfloat16"), "float32 or bfloat16"),
        }
        check(self, rules | shared_rules(self))


class Generator(nn.Sequential):
    """(B, nz, 1, 1) -> (B, channels, size, size), -1 to 1."""

    def __init__(self, nz: int, ngf: int, channels: int, size: int) -> None:
        width = ngf * size // 8  # the layer of 4x4 pixels; halved whenever the side doubles
        layers: list[nn.Module] = [nn.ConvTranspose2d(nz, width, 4, bias=False), nn.BatchNorm2d(width), nn.ReLU(True)]
        while width > ngf:
            layers += [_up(width, width // 2), nn.BatchNorm2d(width // 2), nn.ReLU(True)]
            width //= 2
        super().__init__(*layers, _up(ngf, channels), nn.Tanh())
        self.apply(_initialise)


class Discriminator(nn.Sequential):
    """(B, channels, size, size) -> (B, 1, 1, 1), the logit that an image is real."""

    def __init__(self, ndf: int, channels: int, size: int) -> None:
        layers: list[nn.Module] = [_down(channels, ndf), nn.LeakyReLU(0.2, inplace=True)]
        width = ndf
        while width < ndf * size // 8:
            layers += [_down(width, width * 2), nn.BatchNorm2d(width * 2), nn.LeakyReLU(0.2, inplace=True)]
            width *= 2
        super().__init__(*layers, nn.Conv2d(width, 1, 4, bias=False))
        self.apply(_initialise)


def _up(n_in: int, n_out: int) -> nn.Module:
    return nn.ConvTranspose2d(n_in, n_out, 4, stride=2, padding=1, bias=False)


def _down(n_in: int, n_out: int) -> nn.Module:
    return nn.Conv2d(n_in, n_out, 4, stride=2, padding=1, bias=False)


def _initialise(layer: nn.Module) -> None:
    """Normal weights: convolutions N(0, 0.02), batch norm N(1, 0.02)."""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(layer.weight, 0.0, 0.02)
    elif isinstance(layer, nn.BatchNorm2d):
        nn.init.normal_(layer.weight, 1.0, 0.02)


class Data:
    """The images as bytes, on the device when they fit there; which of them are for training; the others, to compare.

    images (N, C, H, W) and labels, or None: all. train: the numbers of those to train on. validation: the real images
    to compare with, -1 to 1.
    """

    def __init__(self, settings: Settings, device: torch.device) -> None:
        images = load_images(settings)
        count = held_out_count(settings, images)
        # numbers of images, not copies: trials share what is mapped into memory
        self.train, held_out = image_data.hold_out(torch.arange(len(images.train)), count)
        if len(self.train) < settings.batch_size:
            raise ValueError(f"batch_size = {settings.batch_size} is more than the {len(self.train)} training images")
        if count < 2:
            raise ValueError(f"{len(images.train)} images are too few to hold some out for validation")
        self.images, self.labels, self.fingerprint = images.train, images.labels, images.fingerprint
        self.validation = normalised(images.train[held_out].to(device))
        self.channels = images.train.shape[1]
        self.device = device
        self._resident = images.train.to(device) if fits(images.train, device) else None

    def batches(self, size: int) -> Iterator[Tensor]:
        """Yield all whole batches of the training images in random order, (size, C, H, W), -1 to 1."""
        order = self.train[torch.randperm(len(self.train))][: len(self.train) // size * size]
        for images in self._prefetched(order.split(size)) if self._resident is None else self._picked(order, size):
            yield normalised(images).contiguous(memory_format=torch.channels_last)

    def _picked(self, order: Tensor, size: int) -> Iterator[Tensor]:
        return (self._resident[index] for index in order.to(self.device).split(size))

    def _prefetched(self, indices: Sequence[Tensor], ahead: int = 2) -> Iterator[Tensor]:
        """A thread reads the next batches while the device works on this one."""
        with ThreadPoolExecutor(1) as pool:
            waiting = deque(pool.submit(self._read, index) for index in indices[:ahead])
            for index in indices[ahead:]:
                yield waiting.popleft().result().to(self.device, non_blocking=True)
                waiting.append(pool.submit(self._read, index))
            for batch in waiting:
                yield batch.result().to(self.device, non_blocking=True)

    def _read(self, index: Tensor) -> Tensor:
        images = self.images[index]
        return images.pin_memory() if self.device.type == "cuda" else images  # only such a copy does not block


def load_images(settings: Settings) -> image_data.Images:
    """Return the data set at the right size. ValueError when it has not the channels that are asked for."""
    if settings.dataset == "folder":
        if not settings.data_folder:
            raise ValueError("dataset = 'folder' needs data_folder, the folder of the pictures")
        channels = settings.channels or 3
        return image_data.load_folder(
            settings.data_folder, settings.image_size, channels, skip_damaged=settings.skip_damaged
        )
    images = image_data.load(settings.dataset, settings.data_folder)
    if settings.channels not in (0, images.train.shape[1]):
        raise ValueError(f"channels = {settings.channels}, but {settings.dataset} has {images.train.shape[1]}")
    return image_data.resized(images, settings.image_size)


def held_out_count(settings: Settings, images: image_data.Images) -> int:
    """How many real images are not for training but to compare with."""
    return min(settings.validation, len(images.train) // 5)


def normalised(images: Tensor) -> Tensor:
    """Bytes to -1 … 1, the range of the generator."""
    return images.float().div_(127.5).sub_(1)


def fits(images: Tensor, device: torch.device) -> bool:
    """Whether the images take less than half of the device's free memory; the CPU has them already."""
    if device.type == "cpu":
        return True
    if device.type == "mps":
        free = torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    else:
        free, _ = torch.cuda.mem_get_info(device)
    return images.numel() < free // 2


class Trainer:
    """The two networks, their optimisers, and one step of each."""

    def __init__(self, settings: Settings, channels: int, device: torch.device) -> None:
        self.settings = settings
        self.device = device
        networks = (
            Generator(settings.nz, settings.ngf, channels, settings.image_size),
            Discriminator(settings.ndf, channels, settings.image_size),
        )
        self.g, self.d = (network.to(device, memory_format=torch.channels_last) for network in networks)
        self.optimizer_g, self.optimizer_d = self._optimizer(self.g), self._optimizer(self.d)
        self.autocast = torch.autocast(device.type, torch.bfloat16, enabled=settings.precision == "bfloat16")

    def _optimizer(self, network: nn.Module) -> torch.optim.Optimizer:
        s = self.settings
        options = {"lr": s.lr, "betas": (s.beta1, s.beta2), "weight_decay": s.weight_decay, "fused": True}
        return OPTIMIZERS[s.optimizer](network.parameters(), **options)

    def latents(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """(count, nz, 1, 1), standard normal; the same on every device when a generator (of the CPU) is given."""
        device = self.device if generator is None else None
        return torch.randn(count, self.settings.nz, 1, 1, generator=generator, device=device).to(self.device)

    def step(self, real: Tensor) -> Tensor:
        """Train both networks on a batch (B, C, H, W); return (loss_D, loss_G), detached: nothing waits for them."""
        self.optimizer_d.zero_grad()
        with self.autocast:
            fake = self.g(self.latents(len(real)))
            loss_d = against(self.d(real), 1.0) + against(self.d(fake.detach()), 0.0)
        loss_d.backward()
        self.optimizer_d.step()

        self.optimizer_g.zero_grad()
        self.d.requires_grad_(False)  # their gradients would be computed for nothing
        with self.autocast:
            loss_g = against(self.d(fake), 1.0)
        loss_g.backward()
        self.optimizer_g.step()
        self.d.requires_grad_(True)
        return torch.stack([loss_d.detach(), loss_g.detach()])

    @torch.no_grad()
    def generate(self, latents: Tensor) -> Tensor:
        """Images of these latents, -1 to 1; the generator is left in training mode."""
        self.g.eval()
        images = torch.cat([self.g(z).float() for z in latents.split(250)])
        self.g.train()
        return images

    def state(self) -> dict[str, Any]:
        """All that a checkpoint needs beside the random number generators."""
        return {name: part.state_dict() for name, part in self._parts().items()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Put back what `state` returned."""
        for name, part in self._parts().items():
            part.load_state_dict(state[name])

    def _parts(self) -> dict[str, Any]:
        return {"g": self.g, "d": self.d, "optimizer_g": self.optimizer_g, "optimizer_d": self.optimizer_d}


def against(logits: Tensor, target: float) -> Tensor:
    """Binary cross-entropy of all logits against one target."""
    logits = logits.float()
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


def fit(trainer: Trainer, data: Data, yardstick: Yardstick, log: Log) -> dict[str, float]:
    """Train and return the scores after the last epoch. FloatingPointError when they are no longer numbers."""
    settings, folder = trainer.settings, Path(trainer.settings.output_dir)
    fixed = trainer.latents(len(data.validation), torch.Generator().manual_seed(0))
    epoch, scores = 0, {}
    image_data.save_grid((data.validation[:64] + 1) / 2, folder / "real.png")
    if saved := training.checkpoint.restore():  # of an earlier attempt at this trial
        by_hand.check_same(saved, asdict(settings), data.fingerprint)
        trainer.load_state(saved)
        yardstick.network.load_state_dict(saved["features"])  # as before, also where it was trained anew meanwhile
        yardstick = Yardstick(data.validation, yardstick.network)
        epoch, scores = saved["epoch"], saved["scores"]

    def save() -> None:
        state = {"script": SCRIPT, "settings": asdict(settings), "channels": data.channels, "data": data.fingerprint}
        state |= {"epoch": epoch, "scores": scores, "features": yardstick.network.state_dict(), **trainer.state()}
        training.checkpoint.save(state, step=epoch, keep=settings.keep)

    if epoch >= settings.epochs:  # the earlier attempt had come to its end: what it left is this one's result
        save()
    log.start()
    while epoch < settings.epochs:
        epoch += 1
        train_epoch(trainer, data, log, epoch)
        images = trainer.generate(fixed)
        scores = yardstick.score(images)
        log.epoch(epoch, scores)
        if not math.isfinite(scores["mmd2"]):
            raise FloatingPointError(f"diverged: MMD^2 is {scores['mmd2']} after epoch {epoch}")
        stop = training.report(epoch, scores["mmd2"])
        if stop or epoch % settings.save_every == 0 or epoch == settings.epochs:
            image_data.save_grid((images[:64] + 1) / 2, folder / f"generated_{epoch}.png")
            save()
        if stop:
            break
    return {"val_loss": scores["mmd2"], "swd": scores["swd"]}


def train_epoch(trainer: Trainer, data: Data, log: Log, epoch: int) -> None:
    """One pass over the training images."""
    every, size = trainer.settings.log_every, trainer.settings.batch_size
    losses, count = torch.zeros(2, device=data.device), 0
    steps = len(data.train) // size
    for step, real in enumerate(data.batches(size), start=1):
        losses += trainer.step(real)
        count += 1
        if step % every == 0 or step == steps:
            log.losses(epoch, step, steps, (losses / count).tolist())
            losses.zero_()
            count = 0
        log.step_done()


class Log:
    """Lines on the terminal, and what was asked for beside: TensorBoard scalars, a profiler's trace."""

    PROFILED = 20  # steps

    def __init__(self, settings: Settings) -> None:
        self._folder = Path(settings.output_dir)
        self._board = _summary_writer(self._folder / "tensorboard") if settings.tensorboard else None
        self._left = self.PROFILED if settings.profile else 0
        self._profiler: torch.profiler.profile | None = None
        self._began = time.perf_counter()

    def start(self) -> None:
        """Training begins."""
        self._began = time.perf_counter()
        if self._left:
            self._profiler = torch.profiler.profile()
            self._profiler.start()

    def losses(self, epoch: int, step: int, steps: int, losses: list[float]) -> None:
        """The losses are means since the last line."""
        loss_d, loss_g = losses
        print(f"epoch {epoch} step {step}/{steps}: loss_D {loss_d:.4f} loss_G {loss_g:.4f}", flush=True)
        if self._board:
            at = (epoch - 1) * steps + step
            self._board.add_scalar("loss/D", loss_d, at)
            self._board.add_scalar("loss/G", loss_g, at)

    def epoch(self, epoch: int, scores: Mapping[str, float]) -> None:
        """The scores of an epoch."""
        text = " ".join(f"{name} {value:.5f}" for name, value in scores.items())
        print(f"epoch {epoch}: {text} ({time.perf_counter() - self._began:.1f} s)", flush=True)
        for name, value in scores.items() if self._board else ():
            self._board.add_scalar(f"score/{name}", value, epoch)

    def step_done(self) -> None:
        """Count a step; the trace is written after the first few."""
        if self._profiler:
            self._left -= 1
            if not self._left:
                self._write_trace(self._profiler)

    def _write_trace(self, profiler: torch.profiler.profile) -> None:
        self._profiler = None
        profiler.stop()
        profiler.export_chrome_trace(str(self._folder / "trace.json"))

    def close(self) -> None:
        """Write what is not written yet."""
        if self._profiler:
            self._write_trace(self._profiler)
        if self._board:
            self._board.close()


def _summary_writer(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise ValueError("tensorboard = true needs the package tensorboard: install it") from None
    return SummaryWriter(str(folder))


def experiment_folder(folder: Path) -> Path:
    """Where all trials of an experiment find what they share, somewhere above their own folders; by hand `folder`."""
    above = (p for p in folder.absolute().parents if (p / "experiment.json").exists())
    return next(above, folder)


def run(hyperparams: Mapping[str, Any]) -> dict[str, float]:
    """Train with `hyperparams` (see Settings); return {"val_loss": MMD^2 to real images held out, "swd": on pixels}.

    ValueError for a misspelt name or an impossible value, FileNotFoundError without data, FloatingPointError when the
    training diverges.
    """
    settings = from_hyperparams(Settings, hyperparams)
    folder = Path(settings.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    use_threads(settings.threads)
    device = pick_device(settings.device)
    with contextlib.closing(Log(settings)) as log:
        data = Data(settings, device)
        kept = experiment_folder(folder) / "features"
        network = feature_network(data.images, data.labels, kept, device, chosen=data.train)
        training.seed_everything(settings.rng_seed if settings.seed is None else settings.seed)
        trainer = Trainer(settings, data.channels, device)
        return fit(trainer, data, Yardstick(data.validation, network), log)


# -- from a checkpoint: samples, and walks through the latent space


def load(path: str | Path) -> tuple[Generator, Settings, Features, Mapping[str, Any]]:
    """Return the generator in a checkpoint, its settings, the feature network that scored it, and all that is in it."""

    def restored(state: Mapping[str, Any]) -> tuple[Generator, Settings, Features, Mapping[str, Any]]:
        settings = from_hyperparams(Settings, state["settings"])
        generator = Generator(settings.nz, settings.ngf, state["channels"], settings.image_size)
        network = Features(state["channels"])
        generator.load_state_dict(state["g"])
        network.load_state_dict(state["features"])
        return generator.eval(), settings, network.eval(), state

    return by_hand.load(path, SCRIPT, restored)


@torch.no_grad()
def generated(generator: Generator, latents: Tensor) -> Tensor:
    """Images of latents (N, nz), -1 to 1."""
    return torch.cat([generator(z).float() for z in latents[:, :, None, None].split(250)])


def sample(arguments: argparse.Namespace) -> None:
    """Draw grid x grid generated images."""
    generator, settings, *_ = load(arguments.checkpoint)
    torch.manual_seed(arguments.seed)
    images = generated(generator, torch.randn(arguments.grid**2, settings.nz))
    image_data.save_grid((images + 1) / 2, arguments.output, columns=arguments.grid)


def slerp(arguments: argparse.Namespace) -> None:
    """Draw a closed walk through the latent space; all frames have one normalisation, the generator's range."""
    if Path(arguments.output).suffix.lower() not in image_data.FILMS:
        raise ValueError(f"{arguments.output} can hold no film: give -o a name that ends in .gif, .png or .webp")
    generator, settings, *_ = load(arguments.checkpoint)
    torch.manual_seed(arguments.seed)
    images = generated(generator, walk(torch.randn(arguments.anchors, settings.nz), arguments.frames))
    image_data.save_film((images + 1) / 2, arguments.output)


def test(arguments: argparse.Namespace) -> None:
    """Print MMD^2 to the test images, as many as there were to validate: for the winner of a search, once."""
    generator, settings, network, state = load(arguments.checkpoint)
    settings = replace(settings, data_folder=arguments.data_folder or settings.data_folder)
    device = pick_device("auto")
    images = load_images(settings)
    by_hand.check_data(state.get("data"), images.fingerprint)
    real = normalised(images.test[: held_out_count(settings, images)].to(device))
    if len(real) < 2:
        raise ValueError(f"the data set {settings.dataset} has no test images")
    torch.manual_seed(1)  # other latents than those of the validation loss
    fake = generated(generator.to(device), torch.randn(len(real), settings.nz).to(device))
    print(Yardstick(real, network.to(device)).score(fake)["mmd2"])


COMMANDS = {
    "sample": by_hand.Command(sample, "samples.png", {"--grid": by_hand.count(8, "images in a row"), **by_hand.SEED}),
    "slerp": by_hand.Command(
        slerp,
        "walk.gif",
        {
            "--frames": by_hand.count(60, "pictures in the film"),
            "--anchors": by_hand.count(5, "random points to pass through"),
            **by_hand.SEED,
        },
    ),
    "test": by_hand.Command(test, None, by_hand.DATA),
}


if __name__ == "__main__":
    by_hand.main(SCRIPT, __doc__, Settings, run, COMMANDS)
