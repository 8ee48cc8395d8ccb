"""Decoded files in other layouts, and back through the sources."""

from __future__ import annotations

import csv
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from ddcodec import load, pack, sources
from ddcodec.data import export
from ddcodec.data.export import LAYOUTS, Decoded
from ddcodec.format import read

VECTORS = Path(__file__).parents[2] / "spec" / "vectors" / "valid"
RANDOM = np.random.default_rng(8)
IMAGES = RANDOM.integers(0, 256, (23, 3, 6, 5), dtype=np.uint8)
SOFT = RANDOM.random((23, 3), dtype=np.float32)
# In sorted order, as an ImageFolder has its classes; every class wins somewhere.
CLASSES = ("ant", "bee", "cat")
SOFT[:3] = np.eye(3, dtype=np.float32)


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("packed") / "insects.ddset"
    pack(IMAGES, SOFT, CLASSES, path, chunk=5)
    return path


def soft_of_npz(folder: Path) -> np.ndarray:
    with np.load(folder / "data.npz", allow_pickle=False) as data:
        return data["labels"]


def soft_of_csv(folder: Path) -> np.ndarray:
    with (folder / "labels.csv").open(newline="", encoding="utf-8") as text:
        _, *rows = csv.reader(text)
    return np.array([row[1:] for row in sorted(rows, key=lambda r: Path(r[0]).name)], np.float32)


def soft_of_parquet(folder: Path) -> np.ndarray:
    table = pq.read_table(folder / "train-00000-of-00001.parquet")
    return np.array(table["soft_label"].to_pylist(), np.float32)


def soft_of_shards(folder: Path) -> np.ndarray:
    found = []
    for path in sorted(folder.glob("train-*.tar")):
        with tarfile.open(path) as shard:
            for entry in shard:
                if entry.name.endswith(".soft.npy"):
                    data = shard.extractfile(entry)
                    assert data is not None
                    found.append(np.load(io.BytesIO(data.read()), allow_pickle=False))
    return np.stack(found)


READERS: dict[str, Callable[[Path], np.ndarray]] = {
    "npz": soft_of_npz,
    "imagefolder": soft_of_csv,
    "parquet": soft_of_parquet,
    "webdataset": soft_of_shards,
}


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_pixels_and_labels_come_back_through_the_sources(
    layout: str, packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "SHARD", 10)
    LAYOUTS[layout](Decoded(packed), tmp_path)
    ds = load(packed)
    assert np.array_equal(READERS[layout](tmp_path), ds.soft_labels.numpy())
    source = sources.load(tmp_path / "data.npz" if layout == "npz" else tmp_path)
    assert source.classes == CLASSES
    hard = ds.soft_labels.argmax(1).numpy()
    images = IMAGES.transpose(0, 2, 3, 1)
    if layout == "imagefolder":
        order = np.argsort(hard, kind="stable")
        images, hard = images[order], hard[order]
    assert np.array_equal(source.train.images, images)
    assert np.array_equal(source.train.labels, hard)


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_posters_come_back_rounded_to_eight_bits(
    layout: str, digits_file: Path, tmp_path: Path
) -> None:
    decoded = Decoded(digits_file)
    LAYOUTS[layout](decoded, tmp_path)
    ds = load(digits_file, raw=True)
    assert np.array_equal(READERS[layout](tmp_path), ds.soft_labels.numpy())
    assert decoded.values == 18 * 8 * 8
    unit = np.stack([image.numpy() for image, _ in ds])
    assert decoded.clipped == int(((unit < 0) | (unit > 1)).sum())
    if layout == "npz":
        source = sources.load(tmp_path / "data.npz")
        expected = np.rint(unit.clip(0, 1) * 255).astype(np.uint8)
        assert np.array_equal(source.train.images.transpose(0, 3, 1, 2), expected)


@pytest.mark.parametrize("layout", ["imagefolder", "parquet", "webdataset"])
def test_the_manifest_lies_beside_the_files(layout: str, packed: Path, tmp_path: Path) -> None:
    LAYOUTS[layout](Decoded(packed), tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["content_digest"] == read(packed).manifest.content_digest


def test_equal_files_give_equal_bytes(packed: Path, tmp_path: Path) -> None:
    for layout in ("npz", "webdataset"):
        found = []
        for name in ("a", "b"):
            folder = tmp_path / layout / name
            folder.mkdir(parents=True)
            LAYOUTS[layout](Decoded(packed), folder)
            found.append({path.name: path.read_bytes() for path in folder.iterdir()})
        assert found[0] == found[1]


def test_shards_hold_a_bounded_number_of_samples(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "SHARD", 10)
    LAYOUTS["webdataset"](Decoded(packed), tmp_path)
    sizes = []
    for path in sorted(tmp_path.glob("*.tar")):
        with tarfile.open(path) as shard:
            sizes.append(len(shard.getnames()))
    assert sizes == [30, 30, 9]


def weights_of_npz(folder: Path) -> np.ndarray:
    with np.load(folder / "data.npz", allow_pickle=False) as data:
        return data["weights"]


def weights_of_csv(folder: Path) -> np.ndarray:
    with (folder / "weights.csv").open(newline="", encoding="utf-8") as text:
        head, *rows = csv.reader(text)
    assert head == ["file", "weight"]
    assert all((folder / row[0]).exists() for row in rows)
    return np.array([row[1] for row in rows], np.float32)


def weights_of_parquet(folder: Path) -> np.ndarray:
    return np.array(pq.read_table(folder / "train-00000-of-00001.parquet")["weight"], np.float32)


def weights_of_shards(folder: Path) -> np.ndarray:
    found = []
    for path in sorted(folder.glob("train-*.tar")):
        with tarfile.open(path) as shard:
            for entry in shard:
                if entry.name.endswith(".weight.txt"):
                    data = shard.extractfile(entry)
                    assert data is not None
                    found.append(data.read().decode())
    if not found:
        raise KeyError("no sample has a weight")
    return np.array(found, np.float32)


WEIGHTS: dict[str, Callable[[Path], np.ndarray]] = {
    "npz": weights_of_npz,
    "imagefolder": weights_of_csv,
    "parquet": weights_of_parquet,
    "webdataset": weights_of_shards,
}


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_all_stages_are_there_and_how_often_each_is_drawn(
    layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "SHARD", 10)
    path = VECTORS / "ppodd-stages.ddset"
    decoded = Decoded(path)
    LAYOUTS[layout](decoded, tmp_path)
    ds = load(path)
    assert decoded.count == len(ds) == 24
    assert np.array_equal(READERS[layout](tmp_path), ds.soft_labels.numpy())
    weights = WEIGHTS[layout](tmp_path)
    assert np.array_equal(weights, np.repeat(np.float32([1.5, 0.75, 0.75]), 8))
    assert np.allclose(weights[::8] / 3, ds.stage_shares)
    source = sources.load(tmp_path / "data.npz" if layout == "npz" else tmp_path)
    assert len(source.train.labels) == 24


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_samples_that_count_alike_have_no_weights(
    layout: str, packed: Path, tmp_path: Path
) -> None:
    LAYOUTS[layout](Decoded(packed), tmp_path)
    with pytest.raises((KeyError, FileNotFoundError)):
        WEIGHTS[layout](tmp_path)


def test_stored_bytes_are_not_called_rounded(packed: Path, digits_file: Path) -> None:
    assert not Decoded(packed).rounded
    assert Decoded(digits_file).rounded
