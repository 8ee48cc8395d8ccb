"""Parquet shards larger than memory, read class by class."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ddcodec import sources
from ddcodec.errors import SourceError
from ddcodec.sources import parquet
from ddcodec.sources.by_class import InMemory
from ddcodec.sources.parquet_classes import ParquetClasses

pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

Write = Callable[..., Path]
LABELS = [0, 1, 2, 0, 1, 2, 2, 2]


def cell(seed: int, mode: str = "RGB", size: tuple[int, int] = (6, 5)) -> bytes:
    values = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(values).convert(mode).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def lazy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "HELD_BYTES", 0)
    monkeypatch.setattr("ddcodec.sources.parquet_classes.BATCH", 2)


@pytest.fixture
def root(write_shard: Write) -> Path:
    cells = [cell(i, "L" if i == 4 else "RGB") for i in range(8)]
    write_shard("train-0.parquet", cells[:5], LABELS[:5])
    root = write_shard("train-1.parquet", cells[5:], LABELS[5:])
    # Several row groups in a shard, as those of large data sets have.
    for path in root.glob("train-*.parquet"):
        pq.write_table(pq.read_table(path), path, row_group_size=2)
    return root


def test_classes_are_the_same_as_in_memory(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = sources.load(root).by_class()
    assert isinstance(held, InMemory)
    monkeypatch.setattr(parquet, "HELD_BYTES", 0)
    source = sources.load(root)
    streamed = source.by_class()
    assert isinstance(streamed, ParquetClasses)
    assert "train" not in source.__dict__  # nothing was read as a whole
    assert (streamed.shape, streamed.total) == (held.shape, held.total) == ((3, 5, 6), 8)
    for label in range(3):
        count = held.count(label)
        assert streamed.count(label) == count
        for index in (np.arange(count), np.arange(count)[::-1], np.array([count - 1, 0])):
            assert np.array_equal(held.images(label, index), streamed.images(label, index))


def test_only_row_groups_with_wanted_images_are_read(
    root: Path, lazy: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = sources.load(root).by_class()
    read: list[int] = []
    original = pq.ParquetFile.iter_batches

    def counted(self, *words, row_groups, **more):  # type: ignore[no-untyped-def]
        read.extend(row_groups)
        return original(self, *words, row_groups=row_groups, **more)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", counted)
    pool.images(2, np.array([3]))  # the last row of the last shard
    assert read == [1]


def test_the_digest_sees_labels_names_and_sizes(root: Path, lazy: None, write_shard: Write) -> None:
    before = sources.load(root).by_class().digest()
    assert sources.load(root).by_class().digest() == before
    write_shard("train-2.parquet", [cell(9)], [1])
    assert sources.load(root).by_class().digest() != before


def test_what_does_not_fit_is_one_line(lazy: None, write_shard: Write) -> None:
    root = write_shard("train-0.parquet", [cell(0), cell(1, size=(7, 5))], [0, 1])
    pool = sources.load(root).by_class()
    with pytest.raises(SourceError, match=r"row 1: is 7x5, but .*row 0 is 6x5"):
        pool.images(1, np.array([0]))
    write_shard("train-0.parquet", [cell(0, "L"), cell(1)], [0, 1])
    with pytest.raises(SourceError, match=r"row 1: is in colour, the first image is grey"):
        sources.load(root).by_class().images(1, np.array([0]))
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
