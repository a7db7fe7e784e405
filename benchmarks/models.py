"""The models against the loops of the pytorch examples, side by side in one run, on one thread or on a GPU.

    python benchmarks/models.py                      # VAE and DCGAN on the CPU, one thread
    python benchmarks/models.py --device cuda        # also images per second and the share of the device's peak

VAE: one epoch of 60 000 images of 28x28, batch 128, on Fashion-MNIST (or --dataset mnist), ending with the loss on the
test images. DCGAN: some steps of batch 128. The loops `example_*` are written in the examples' manner: a data set that
makes each item in Python, a loader, `.item()` after each batch, plain Adam.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: later it has no effect
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "models"))

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode
from torchvision import transforms

import dcgan
import image_data
import vae

BATCH = 128


class Items(Dataset[Tensor]):
    """As torchvision's data sets are: an item becomes a picture, then goes through the transformation."""

    def __init__(self, images: Tensor, transform: Callable[[Image.Image], Tensor]) -> None:
        self.images = images.permute(0, 2, 3, 1).squeeze(-1).numpy()
        self.transform = transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        return self.transform(Image.fromarray(self.images[index]))


class ExampleVAE(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(784, 400)
        self.fc21 = nn.Linear(400, 20)
        self.fc22 = nn.Linear(400, 20)
        self.fc3 = nn.Linear(20, 400)
        self.fc4 = nn.Linear(400, 784)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h1 = F.relu(self.fc1(x.view(-1, 784)))
        mu, logvar = self.fc21(h1), self.fc22(h1)
        std = torch.exp(0.5 * logvar)
        z = mu + torch.randn_like(std) * std
        return torch.sigmoid(self.fc4(F.relu(self.fc3(z)))), mu, logvar


def example_loss(recon_x: Tensor, x: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    bce = F.binary_cross_entropy(recon_x, x.view(-1, 784), reduction="sum")
    return bce - 0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())


def example_vae(images: image_data.Images, device: torch.device) -> tuple[float, float]:
    """Return (seconds of the training epoch, loss on the test images)."""
    torch.manual_seed(1)
    model = ExampleVAE().to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    loaders = [
        DataLoader(Items(part, transforms.ToTensor()), batch_size=BATCH, shuffle=True)
        for part in (images.train, images.test)
    ]
    began = clock(device)
    train_loss = 0.0
    for data in loaders[0]:
        data = data.to(device)
        optimizer.zero_grad()
        loss = example_loss(*_with_input(model, data))
        loss.backward()
        train_loss += loss.item()
        optimizer.step()
    seconds = clock(device) - began
    with torch.no_grad():
        total = sum(example_loss(*_with_input(model, data.to(device))).item() for data in loaders[1])
    return seconds, total / len(images.test)


def _with_input(model: ExampleVAE, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    reconstruction, mu, logvar = model(x)
    return reconstruction, x, mu, logvar


def our_vae(dataset: str, folder: str, device: torch.device, precision: str) -> tuple[float, float]:
    """The same of models/vae.py."""
    torch.manual_seed(1)
    settings = vae.Settings(dataset=dataset, data_folder=folder, validation=0, precision=precision)
    data = vae.Data(settings, device)
    model = vae.VAE(784, [400], 20, "relu", "bernoulli").to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")
    began = clock(device)
    vae.train_epoch(model, optimizer, data, settings, autocast)
    return clock(device) - began, vae.evaluate(model, data, data.test)


def example_dcgan(settings: dcgan.Settings, images: Tensor, device: torch.device, steps: int) -> float:
    """Return seconds per step of the tutorial's loop; our networks, which are its own, in torch's usual layout.

    images: uint8 (N, C, H, W).
    """
    channels, size = images.shape[1], settings.image_size
    transform = transforms.Compose([transforms.Resize(size), transforms.ToTensor(), transforms.Normalize(0.5, 0.5)])
    loader = iter(DataLoader(Items(images, transform), batch_size=BATCH, shuffle=True))
    g = dcgan.Generator(settings.nz, settings.ngf, channels, size).to(device)
    d = dcgan.Discriminator(settings.ndf, channels, size).to(device)
    criterion = nn.BCELoss()
    optimizers = [torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999)) for network in (d, g)]
    began = 0.0
    for step in range(steps + 1):
        if step == 1:  # the first warms up
            began = clock(device)
        real = next(loader).to(device)
        d.zero_grad()
        label = torch.full((BATCH,), 1.0, device=device)
        loss_real = criterion(d(real).sigmoid().view(-1), label)
        loss_real.backward()
        fake = g(torch.randn(BATCH, settings.nz, 1, 1, device=device))
        loss_fake = criterion(d(fake.detach()).sigmoid().view(-1), label.fill_(0.0))
        loss_fake.backward()
        (loss_real + loss_fake).item()
        optimizers[0].step()
        g.zero_grad()
        loss_g = criterion(d(fake).sigmoid().view(-1), label.fill_(1.0))
        loss_g.backward()
        loss_g.item()
        optimizers[1].step()
    return (clock(device) - began) / steps


def our_dcgan(trainer: dcgan.Trainer, data: dcgan.Data, steps: int) -> float:
    """The same of models/dcgan.py."""
    device, batches = trainer.device, data.batches(BATCH)
    trainer.step(next(batches))
    began = clock(device)
    for _ in range(steps):
        trainer.step(next(batches))
    return (clock(device) - began) / steps


def clock(device: torch.device) -> float:
    """Seconds when the device has done all it was told; on the CPU those of this process, whatever else is running."""
    if device.type != "cuda":
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()


def peak(device: torch.device) -> float:
    """Operations per second of a large bfloat16 matrix product, measured."""
    n = 8192 if device.type == "cuda" else 1024
    a = torch.randn(n, n, device=device, dtype=torch.bfloat16 if device.type == "cuda" else torch.float32)
    a @ a
    began = clock(device)
    for _ in range(10):
        a @ a
    return 10 * 2 * n**3 / (clock(device) - began)


def compare_vae(dataset: str, folder: str, device: torch.device) -> None:
    """Print a table; the first line is the example."""
    images = image_data.load(dataset, folder)
    base, loss = example_vae(images, device)
    print(f"VAE, {len(images.train)} images of {dataset}, one epoch\n{'':24}seconds  images/s  ratio  test loss")
    _line("example's loop", base, len(images.train), 1.0, f"{loss:.1f}")
    for precision in ("float32", "bfloat16"):
        seconds, loss = our_vae(dataset, folder, device, precision)
        _line(f"models/vae.py {precision}", seconds, len(images.train), base / seconds, f"{loss:.1f}")


def compare_dcgan(dataset: str, folder: str, device: torch.device, size: int, width: int, steps: int) -> None:
    """Print a table; the first line is the tutorial."""
    options = {"dataset": dataset, "data_folder": folder, "image_size": size, "ngf": width, "ndf": width}
    settings = {p: dcgan.Settings(**options, precision=p) for p in ("float32", "bfloat16")}
    data = dcgan.Data(settings["float32"], device)
    print(f"\nDCGAN, {size} pixels, {width} channels, batch {BATCH}\n{'':24}seconds  images/s  ratio  share of peak")
    with FlopCounterMode(display=False) as counter:
        dcgan.Trainer(settings["float32"], data.channels, device).step(next(data.batches(BATCH)))
    share = counter.get_total_flops() / peak(device)
    base = example_dcgan(settings["float32"], data.images, device, steps)
    _line("tutorial's loop", base, BATCH, 1.0, f"{share / base:.1%}")
    for precision, chosen in settings.items():
        seconds = our_dcgan(dcgan.Trainer(chosen, data.channels, device), data, steps)
        _line(f"models/dcgan.py {precision}", seconds, BATCH, base / seconds, f"{share / seconds:.1%}")


def _line(name: str, seconds: float, images: int, ratio: float, last: str) -> None:
    print(f"{name:24}{seconds:7.3f}  {images / seconds:8.0f}  {ratio:5.2f}  {last}", flush=True)


def main() -> None:
    """Compare on one device."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dataset", default="fashion_mnist", choices=["mnist", "fashion_mnist"])
    parser.add_argument("--data-folder", default="")
    parser.add_argument("--steps", type=int, default=20, help="of the DCGAN [20]")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    torch.set_num_threads(1)
    compare_vae(arguments.dataset, arguments.data_folder, device)
    size, width = (64, 64) if device.type == "cuda" else (32, 8)
    compare_dcgan(arguments.dataset, arguments.data_folder, device, size, width, arguments.steps)


if __name__ == "__main__":
    main()
