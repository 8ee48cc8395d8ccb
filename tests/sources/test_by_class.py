"""Data sets larger than memory, read class by class, out of folders and parquet shards."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ddcodec import LIC, encode, info, sources
from ddcodec.errors import SourceError
from ddcodec.observers.train import train
from ddcodec.observers.training import Recipe
from ddcodec.sources import base, images, parquet
from ddcodec.sources.base import InMemory
from ddcodec.sources.by_class import ReadByClass
from ddcodec.sources.split import ByClass

pq = pytest.importorskip("pyarrow.parquet")

Write = Callable[..., Path]
LABELS = [0, 1, 2, 0, 1, 2, 2, 2]


def picture(seed: int, width: int = 16, height: int = 16, mode: str = "RGB") -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(values).convert(mode)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three classes of eight pictures of 16x16, one of them grey."""
    for label in range(3):
        folder = tmp_path / "train" / f"class {label}"
        folder.mkdir(parents=True)
        for i in range(8):
            mode = "L" if i == 5 else "RGB"
            picture(10 * label + i, mode=mode).save(folder / f"{i}.png")
    return tmp_path


@pytest.fixture
def lazy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is small enough to be held."""
    monkeypatch.setattr(base, "HELD_BYTES", 0)
    monkeypatch.setattr(parquet, "BATCH", 2)


def everything(pool: ByClass) -> list[np.ndarray]:
    return [pool.images(label, np.arange(pool.count(label))) for label in range(3)]


def held_and_streamed(root: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[InMemory, ReadByClass]:
    """Return a small data set by class, and the same where it is too large to be held."""
    held = sources.load(root).by_class()
    assert isinstance(held, InMemory)
    monkeypatch.setattr(base, "HELD_BYTES", 0)
    source = sources.load(root)
    streamed = source.by_class()
    assert isinstance(streamed, ReadByClass)
    assert "train" not in source.__dict__  # nothing was read as a whole
    return held, streamed


def test_small_folders_are_held_and_large_ones_read_the_same(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, streamed = held_and_streamed(root, monkeypatch)
    assert (streamed.shape, streamed.total) == (held.shape, held.total) == ((3, 16, 16), 24)
    for a, b in zip(everything(held), everything(streamed), strict=True):
        assert np.array_equal(a, b)
    some = np.array([6, 5, 0])
    assert np.array_equal(held.images(2, some), streamed.images(2, some))


def test_the_digest_sees_names_and_sizes(root: Path, lazy: None) -> None:
    before = sources.load(root).by_class().digest()
    assert before == sources.load(root).by_class().digest()
    (root / "train" / "class 1" / "8.png").write_bytes(
        (root / "train" / "class 1" / "7.png").read_bytes()
    )
    assert sources.load(root).by_class().digest() != before


def test_pictures_of_all_kinds_are_read(tmp_path: Path, lazy: None) -> None:
    for label, mode in enumerate(("RGB", "CMYK", "L")):
        folder = tmp_path / "train" / str(label)
        folder.mkdir(parents=True)
        for i in range(3):
            exif = Image.Exif()
            exif[0x0112] = 6  # on its side
            picture(i, 40 + 8 * i, 30, mode).save(folder / f"{i}.jpg", exif=exif)
    pool = sources.load(tmp_path, size=12).by_class()
    assert pool.shape == (3, 12, 12)
    assert all(images.shape == (3, 12, 12, 3) for images in everything(pool))


def test_what_cannot_be_read_is_named_in_one_line(root: Path, lazy: None) -> None:
    jpeg = root / "train" / "class 2" / "3.jpg"
    picture(1).save(jpeg, quality=95)
    jpeg.write_bytes(jpeg.read_bytes()[:-200])
    pool = sources.load(root).by_class()
    with pytest.raises(SourceError, match=r"3\.jpg: cannot be read as an image") as caught:
        everything(pool)
    assert "\n" not in str(caught.value)
    jpeg.unlink()
    picture(1, 20, 16).save(root / "train" / "class 2" / "9.png")
    with pytest.raises(SourceError, match=r"9\.png: is 20x16.*`size`"):
        everything(sources.load(root).by_class())


def test_a_class_of_another_size_is_named(root: Path, lazy: None) -> None:
    for path in (root / "train" / "class 1").iterdir():
        picture(1, 20, 20).save(path)
    with pytest.raises(SourceError, match=r"class 1.*is 20x20.*`size`"):
        sources.load(root).by_class()


@pytest.mark.parametrize("coloured", ["2/1.png", "0/2.png", ""])
def test_one_image_in_colour_makes_all_of_them_so(
    coloured: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (f"{label}/{i}.png" for label in range(3) for i in range(3)):
        path = tmp_path / "train" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(len(name), mode="RGB" if name == coloured else "L").save(path)
    held, streamed = held_and_streamed(tmp_path, monkeypatch)
    assert streamed.shape == held.shape == (3 if coloured else 1, 16, 16)
    for a, b in zip(everything(held), everything(streamed), strict=True):
        assert np.array_equal(a, b)


@pytest.mark.parametrize("first", ["RGB", "L"])
def test_images_are_looked_through_for_colour_only_after_grey_ones(
    first: str, tmp_path: Path, lazy: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for label in range(2):
        for i, mode in enumerate((first, "RGB", "RGB")):
            path = tmp_path / "train" / str(label) / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            picture(i, mode=mode).save(path)
    looked: list[str] = []
    original = images.is_grey
    monkeypatch.setattr(
        images, "is_grey", lambda name, data: looked.append(name) or original(name, data)
    )
    assert sources.load(tmp_path).by_class().shape == (3, 16, 16)
    assert len(looked) == (0 if first == "RGB" else 2)  # up to the first in colour


def test_an_encode_reads_a_folder_class_by_class(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    observer = tmp_path / "o.safetensors"
    whole = sources.load(root)
    train(whole, "convnet3", observer, epochs=2, recipe=Recipe(steps=1, batch_size=8))
    lic = LIC(observer=observer, ipc=1, steps=2, precision="float32")
    encode(whole, tmp_path / "a.ddset", lic, device="cpu")
    monkeypatch.setattr(base, "HELD_BYTES", 0)
    streamed = sources.load(root)
    encode(streamed, tmp_path / "b.ddset", lic, device="cpu")
    assert "train" not in streamed.__dict__
    a, b = info(tmp_path / "a.ddset"), info(tmp_path / "b.ddset")
    assert a["source"]["count"] == b["source"]["count"] == 24
    assert a["source"]["digest"] != b["source"]["digest"]
    from ddcodec.format import read

    one, two = (read(tmp_path / name).arrays for name in ("a.ddset", "b.ddset"))
    assert all(np.array_equal(one[name], two[name]) for name in one)


def test_memory_is_that_of_one_class(tmp_path: Path, lazy: None) -> None:
    """Twelve classes of 20 pictures of 96 pixels: 6.6 MB as bytes, of which a twelfth is held."""
    for label in range(12):
        folder = tmp_path / "train" / f"{label:02d}"
        folder.mkdir(parents=True)
        for i in range(20):
            picture(i, 96, 96).save(folder / f"{i}.png", compress_level=1)
    pool = sources.load(tmp_path).by_class()
    tracemalloc.start()
    try:
        for label in range(12):
            assert pool.images(label, np.arange(20)).shape == (20, 96, 96, 3)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * 20 * 96 * 96 * 3


def cell(seed: int, mode: str = "RGB", size: tuple[int, int] = (6, 5)) -> bytes:
    values = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(values).convert(mode).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def shards(write_shard: Write) -> Path:
    cells = [cell(i, "L" if i == 4 else "RGB") for i in range(8)]
    write_shard("train-0.parquet", cells[:5], LABELS[:5])
    root = write_shard("train-1.parquet", cells[5:], LABELS[5:])
    # Several row groups in a shard, as those of large data sets have.
    for path in root.glob("train-*.parquet"):
        pq.write_table(pq.read_table(path), path, row_group_size=2)
    return root


def test_classes_of_shards_are_the_same_as_in_memory(
    shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, streamed = held_and_streamed(shards, monkeypatch)
    assert (streamed.shape, streamed.total) == (held.shape, held.total) == ((3, 5, 6), 8)
    for label in range(3):
        count = held.count(label)
        assert streamed.count(label) == count
        for index in (np.arange(count), np.arange(count)[::-1], np.array([count - 1, 0])):
            assert np.array_equal(held.images(label, index), streamed.images(label, index))


def test_only_row_groups_with_wanted_images_are_read(
    shards: Path, lazy: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = sources.load(shards).by_class()
    read: list[int] = []
    original = pq.ParquetFile.iter_batches

    def counted(self, *words, row_groups, **more):  # type: ignore[no-untyped-def]
        read.extend(row_groups)
        return original(self, *words, row_groups=row_groups, **more)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", counted)
    pool.images(2, np.array([3]))  # the last row of the last shard
    assert read == [1]


def test_the_digest_of_shards_sees_labels_names_and_sizes(
    shards: Path, lazy: None, write_shard: Write
) -> None:
    before = sources.load(shards).by_class().digest()
    assert sources.load(shards).by_class().digest() == before
    write_shard("train-2.parquet", [cell(9)], [1])
    assert sources.load(shards).by_class().digest() != before


def test_a_row_that_does_not_fit_is_one_line(lazy: None, write_shard: Write) -> None:
    root = write_shard("train-0.parquet", [cell(0), cell(1, size=(7, 5))], [0, 1])
    pool = sources.load(root).by_class()
    with pytest.raises(SourceError, match=r"row 1: is 7x5, but .*row 0 is 6x5"):
        pool.images(1, np.array([0]))
    write_shard("train-0.parquet", [cell(0, "L"), cell(1)], [0, 1])
    pool = sources.load(root).by_class()
    assert pool.shape == (3, 5, 6)
    assert np.ptp(pool.images(0, np.array([0])), axis=3).max() == 0
    write_shard("train-0.parquet", [cell(0), cell(1)[:40]], [0, 1])
    with pytest.raises(SourceError, match=r"row 1: (is not|cannot be read as) an image"):
        sources.load(root).by_class().images(1, np.array([0]))
    for labels, said in (([0, 2], "class '1' has no"), ([0, -1], "label -1 of image 1")):
        write_shard("train-0.parquet", [cell(0), cell(1)], labels, names=["0", "1", "2"])
        with pytest.raises(SourceError, match=said):
            sources.load(root).by_class()


def test_memory_is_that_of_the_images_asked_for(lazy: None, write_shard: Write) -> None:
    cells = [cell(i, size=(64, 64)) for i in range(20)] * 10
    root = write_shard("train-0.parquet", cells, [i % 2 for i in range(200)])
    pq.write_table(pq.read_table(root / "train-0.parquet"), root / "train-0.parquet",
                   row_group_size=20)  # fmt: skip
    pool = sources.load(root).by_class()
    tracemalloc.start()
    pool.images(1, np.arange(10))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40 * 64 * 64 * 3  # of 200


def test_what_is_held_anyway_is_not_looked_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for label in range(2):
        (tmp_path / "train" / str(label)).mkdir(parents=True)
        picture(label, mode="L").save(tmp_path / "train" / str(label) / "0.png")
    monkeypatch.delattr(images, "is_grey")
    assert sources.load(tmp_path).by_class().shape == (1, 16, 16)
