"""How far generated images are from real ones: numbers that follow what the eye sees, as a GAN's own losses do not.

* `mmd2`: the squared maximum mean discrepancy, unbiased (Gretton et al. 2012, JMLR 13, eq. 3), in the feature space of
  a small network; of the family of the Kernel Inception Distance (Binkowski et al. 2018), without Inception's 100 MB.
* `sliced_wasserstein`: on the pixels, along random directions (Rabin et al. 2011); it needs no network.

The network is a classifier, or an autoencoder where there are no labels. It is trained once per experiment and data
set, and all trials read the same file, so that their scores can be compared.
"""

from __future__ import annotations

import hashlib
import io
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from image_data import one_at_a_time, write_once

#: Bandwidths of the kernels, in units of the median squared distance of the real images.
BANDWIDTHS = (0.1, 0.25, 0.5, 1.0, 2.0)
SIDE = 32  # the network looks at images of this size


def squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """(N, D), (M, D) -> (N, M)."""
    return torch.cdist(a, b).square_()


def kernel(distances2: Tensor, variance: float) -> Tensor:
    """Mean over the bandwidths s of exp(-d^2 / (2 s variance)), for every entry."""
    total, term = torch.zeros_like(distances2), torch.empty_like(distances2)
    for s in BANDWIDTHS:
        total += torch.div(distances2, -2 * s * variance, out=term).exp_()
    return total.div_(len(BANDWIDTHS))


def median_variance(reference: Tensor) -> float:
    """The median squared distance of two different rows: (N, D)."""
    above = torch.ones(len(reference), len(reference), dtype=torch.bool, device=reference.device).triu_(1)
    return squared_distances(reference, reference)[above].median().item()


def mmd2(x: Tensor, y: Tensor, variance: float, within_x: Tensor | None = None) -> float:
    """Unbiased MMD^2 of samples x (N, D) and y (M, D): 0 on average when both have one distribution, at most 2.

    within_x: `within(x, variance)`, when it is known.
    """
    cross = kernel(squared_distances(x, y), variance).mean()
    within_x = within(x, variance) if within_x is None else within_x
    return (within_x + within(y, variance) - 2 * cross).item()


def within(x: Tensor, variance: float) -> Tensor:
    """Mean of the kernel over all pairs of different rows: (N, D) -> ()."""
    square, n = kernel(squared_distances(x, x), variance), len(x)
    return (square.sum() - square.diagonal().sum()) / (n * (n - 1))


def sliced_wasserstein(x: Tensor, y: Tensor, directions: int = 128) -> float:
    """Mean over fixed random directions of the Wasserstein-1 distance of the projections: (N, D), (N, D)."""
    generator = torch.Generator().manual_seed(0)
    axes = F.normalize(torch.randn(x.shape[1], directions, generator=generator), dim=0).to(x.device)
    return ((x @ axes).sort(0).values - (y @ axes).sort(0).values).abs().mean().item()


class Yardstick:
    """Scores generated images against fixed real ones.

    real: (N, C, H, W), -1 to 1. network: a `Features`. What the network says of `real` is computed once; features that
    do not vary there are left out. ValueError when none is left.
    """

    def __init__(self, real: Tensor, network: Features) -> None:
        self.network = network.eval()
        self._real = real
        features = self._features(real)
        self._alive = features.std(0) > 1e-3
        self._reference = features[:, self._alive]
        self._variance = median_variance(self._reference)
        if not self._variance > 0:  # nor is it when no feature is alive
            raise ValueError("the real images are nearly all alike, so that nothing can be compared with them")
        self._within = within(self._reference, self._variance)

    @torch.no_grad()
    def score(self, images: Tensor) -> dict[str, float]:
        """Return {"mmd2": …, "swd": …} of images (N, C, H, W), -1 to 1, as many as there are real ones."""
        features = self._features(images)[:, self._alive]
        return {
            "mmd2": mmd2(self._reference, features, self._variance, self._within),
            "swd": sliced_wasserstein(self._real.flatten(1), images.flatten(1)),
        }

    @torch.no_grad()
    def _features(self, images: Tensor) -> Tensor:
        return torch.cat([self.network(part).float() for part in images.split(500)])


class Features(nn.Module):
    """(B, C, H, W), -1 to 1 -> (B, 128)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        sizes = [channels, 32, 64, 128]
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise(sizes):
            layers += [nn.Conv2d(n_in, n_out, 3, stride=2, padding=1), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(128 * 4 * 4, 128), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """Images of another size are scaled first."""
        return self.layers(scaled(x))


def scaled(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C, SIDE, SIDE)."""
    if x.shape[2:] == (SIDE, SIDE):
        return x
    if x.device.type == "mps":  # torch 2.6 cannot do it there
        return scaled(x.cpu()).to(x.device)
    return F.interpolate(x, size=(SIDE, SIDE), mode="bilinear", antialias=True)


def feature_network(
    images: Tensor, labels: Tensor | None, folder: Path, device: torch.device, chosen: Tensor | None = None
) -> Features:
    """Return the network for these images, from `folder` or trained and put there; the generators stay as they are.

    images: uint8 (N, C, H, W). labels: (N,) or None. chosen: the numbers of the images to train on; None: all.
    """
    chosen = torch.arange(len(images)) if chosen is None else chosen
    path = folder / f"features_{_fingerprint(images, labels, chosen)}.pt"
    if not path.exists():
        with one_at_a_time(folder):
            if not path.exists():
                network = _train(images, labels, chosen, device)
                content = io.BytesIO()  # torch.save itself would make a RuntimeError of a full disk
                torch.save(network.state_dict(), content)
                write_once(path, lambda file: file.write(content.getbuffer()))
    with torch.random.fork_rng(devices=[]):  # its initial weights are drawn for nothing
        network = Features(images.shape[1])
    network.load_state_dict(torch.load(io.BytesIO(path.read_bytes()), map_location="cpu", weights_only=True))
    return network.to(device).requires_grad_(False)


def _fingerprint(images: Tensor, labels: Tensor | None, chosen: Tensor) -> str:
    digest = hashlib.sha256(repr((images.shape, labels is None)).encode())
    for part in (images, chosen) if labels is None else (images, chosen, labels):
        digest.update(part.contiguous().numpy())
    return digest.hexdigest()[:16]


def _train(
    images: Tensor, labels: Tensor | None, chosen: Tensor, device: torch.device, steps: int = 400, batch: int = 128
) -> Features:
    """A few epochs of Adam; about ten seconds on one core."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(0)
        features = Features(images.shape[1]).to(device)
        head = (_decoder(images.shape[1]) if labels is None else nn.Linear(128, int(labels.max()) + 1)).to(device)
        optimizer = torch.optim.Adam([*features.parameters(), *head.parameters()], lr=1e-3, fused=True)
        for _ in range(min(steps, 5 * len(chosen) // batch + 1)):
            index = chosen[torch.randint(len(chosen), (batch,))]
            x = scaled(images[index].to(device) / 127.5 - 1)
            out = head(features(x))
            loss = F.mse_loss(out, x) if labels is None else F.cross_entropy(out, labels[index].to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return features


def _decoder(channels: int) -> nn.Module:
    layers: list[nn.Module] = [nn.Linear(128, 128 * 4 * 4), nn.Unflatten(1, (128, 4, 4))]
    for n_in, n_out in [(128, 64), (64, 32), (32, channels)]:
        layers += [nn.ReLU(), nn.ConvTranspose2d(n_in, n_out, 4, stride=2, padding=1)]
    return nn.Sequential(*layers, nn.Tanh())
