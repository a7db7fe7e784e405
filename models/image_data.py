"""Image data sets as tensors in memory, and pictures of images; shared by the models beside this file.

`load(name)` knows

* digits: 1 797 handwritten digits of 8x8 pixels that come with scikit-learn, nothing to download;
* mnist, fashion_mnist: 70 000 images of 28x28 pixels, from a folder or downloaded once (see `load`);
* fake: blobs of 28x28 pixels made on the spot, to try things out.
"""

from __future__ import annotations

import contextlib
import difflib
import gzip
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

#: Where a distribution's package puts a data set: gzipped idx files.
SYSTEM_FOLDERS = {"fashion_mnist": Path("/usr/share/datasets/fashion-mnist")}
#: The name of a data set's folder in torchvision's layout, `<root>/<name>/raw`, and of its class there.
TORCHVISION_NAMES = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST"}
NAMES = ("digits", *TORCHVISION_NAMES, "fake")


@dataclass(frozen=True)
class Images:
    """train, test: uint8 (N, channels, height, width), from 0 to `white`."""

    train: Tensor
    test: Tensor
    white: int = 255


def load(name: str, folder: str | Path | None = None) -> Images:
    """Return the data set `name`, one of `NAMES`.

    mnist and fashion_mnist are idx files, gzipped or not. They are looked for in `folder` or else $HPO_DATA or else the
    user's cache: directly, in `<folder>/MNIST/raw` (torchvision's layout), and where the system's package manager puts
    them. What is nowhere is downloaded by torchvision, once, for all processes that share the folder.

    ValueError for an unknown name; FileNotFoundError, in a sentence, when the files are nowhere and cannot be fetched.
    """
    if name == "digits":
        return _digits()
    if name == "fake":
        return _fake()
    if name in TORCHVISION_NAMES:
        return _idx_images(_find_or_fetch(name, data_folder(folder)))
    near = difflib.get_close_matches(name, NAMES, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"unknown data set {name!r}, known are {', '.join(NAMES)}.{hint}")


def hold_out(images: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """Return (training images, validation images): a random choice that is the same in every run.

    share: below 1 a fraction of the images, from 1 a number of them, 0 none. ValueError when none is left to train on.
    """
    count = round(len(images) * share) if share < 1 else int(share)
    if not 0 <= count < len(images):
        raise ValueError(f"validation = {share} leaves nothing to train on: there are {len(images)} training images")
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    return images[order[count:]], images[order[:count]]


def save_grid(images: Tensor, path: str | Path, columns: int = 8) -> None:
    """Write images (N, 1 or 3, height, width), 0 to 1, side by side into one picture; small ones are enlarged."""
    count, channels, height, width = images.shape
    rows = -(-count // columns)
    grid = torch.zeros(channels, rows * (height + 2), columns * (width + 2))
    for i, image in enumerate(images.detach().float().cpu().clamp(0, 1)):
        top, left = i // columns * (height + 2) + 1, i % columns * (width + 2) + 1
        grid[:, top : top + height, left : left + width] = image
    pixels = (grid * 255).round().byte().permute(1, 2, 0).squeeze(-1).numpy()
    zoom = max(1, 32 // height)
    picture = Image.fromarray(pixels)
    picture.resize((picture.width * zoom, picture.height * zoom), Image.Resampling.NEAREST).save(path)


def data_folder(folder: str | Path | None = None) -> Path:
    """Return the folder of data sets: `folder`, else $HPO_DATA, else a place in the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(folder or os.environ.get("HPO_DATA") or Path(cache, "hpo", "data")).expanduser()


def _digits() -> Images:
    """scikit-learn's file is read without importing scikit-learn, which takes longer than training on it."""
    package = importlib.util.find_spec("sklearn")
    if package is None or not package.submodule_search_locations:
        raise FileNotFoundError("the data set digits comes with scikit-learn: install scikit-learn")
    with gzip.open(Path(package.submodule_search_locations[0], "datasets", "data", "digits.csv.gz"), "rt") as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.uint8)  # (1797, 64 pixels from 0 to 16 and the label)
    order = torch.randperm(len(table), generator=torch.Generator().manual_seed(0))  # they are in order of their writers
    images = torch.from_numpy(table[:, :64]).reshape(-1, 1, 8, 8)[order]
    return Images(train=images[:1437], test=images[1437:], white=16)


def _fake(count: int = 1280, size: int = 28) -> Images:
    """One round blob per image: position and radius are all that there is to learn."""
    generator = torch.Generator().manual_seed(0)
    centre = torch.rand(count, 2, 1, 1, generator=generator) * size / 2 + size / 4
    radius = torch.rand(count, 1, 1, generator=generator) * 3 + 2
    line = torch.arange(size)
    distance2 = (line[:, None] - centre[:, 0]) ** 2 + (line - centre[:, 1]) ** 2  # (count, size, size)
    images = (255 * torch.exp(-distance2 / radius**2)).byte().unsqueeze(1)
    return Images(train=images[:1024], test=images[1024:])


def _idx_images(folder: Path) -> Images:
    train, test = (_read_idx(_idx_file(folder, part)) for part in ("train", "t10k"))
    return Images(train.unsqueeze(1), test.unsqueeze(1))


def _read_idx(path: Path) -> Tensor:
    """uint8 (N, height, width): big-endian 0x803, N, height, width, then the pixels (LeCun's idx format)."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rb") as file:
        data = bytearray(file.read())
    magic, *shape = np.frombuffer(data[:16], ">u4").tolist() if len(data) >= 16 else [0]
    if magic != 0x803 or len(data) != 16 + int(np.prod(shape)):
        raise ValueError(f"{path} is not a whole idx file of images")
    return torch.frombuffer(data, dtype=torch.uint8, offset=16).reshape(shape)


def _idx_file(folder: Path, part: str) -> Path:
    plain = folder / f"{part}-images-idx3-ubyte"
    return plain if plain.exists() else plain.with_name(plain.name + ".gz")


def _find_or_fetch(name: str, root: Path) -> Path:
    """Return the folder of the idx files of `name`."""
    own = root / TORCHVISION_NAMES[name] / "raw"
    if found := _first_whole(own, root, *filter(None, [SYSTEM_FOLDERS.get(name)])):
        return found
    try:
        with _one_at_a_time(root):
            return _first_whole(own) or _fetch(name, root)
    except Exception as error:
        raise FileNotFoundError(
            f"the data set {name} is neither in {own} nor could it be downloaded ({' '.join(str(error).split())}); "
            "put its idx files there, or say where they are: data_folder, or HPO_DATA in the environment"
        ) from error


def _first_whole(*folders: Path) -> Path | None:
    return next((f for f in folders if all(_idx_file(f, part).exists() for part in ("train", "t10k"))), None)


def _fetch(name: str, root: Path) -> Path:
    """Download beside and rename: nobody ever sees half a data set."""
    from torchvision import datasets  # takes seconds to import

    directory = TORCHVISION_NAMES[name]
    beside = Path(tempfile.mkdtemp(prefix=f".{directory}-", dir=root))
    try:
        getattr(datasets, directory)(beside, download=True)
        with contextlib.suppress(OSError):  # another machine was faster: its copy is as good
            (beside / directory).rename(root / directory)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    if found := _first_whole(root / directory / "raw"):
        return found
    raise FileNotFoundError(f"{root / directory} is there, but not whole: remove it")


@contextlib.contextmanager
def _one_at_a_time(root: Path) -> Iterator[None]:
    """Spare the others of this machine the download; where files cannot be locked it is only done more than once."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".lock").open("w") as file:
        with contextlib.suppress(ImportError, OSError):
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield
