from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ddcodec import sources
from ddcodec.errors import SourceError

RANDOM = np.random.default_rng(10)
IMAGES = RANDOM.integers(0, 256, (20, 5, 4), np.uint8)
LABELS = (np.arange(20) % 10).astype(np.uint8)
TRAIN, TEST = "train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"


def idx(array: np.ndarray, kind: int = 8) -> bytes:
    head = bytes([0, 0, kind, array.ndim])
    return head + np.asarray(array.shape, ">u4").tobytes() + array.tobytes()


def write(folder: Path, *, gz: bool = False, joint: str = "-", **change: bytes | None) -> Path:
    """The four files, some with another content, or left out where None."""
    files: dict[str, Any] = {
        "train-images": idx(IMAGES[:15]),
        "train-labels": idx(LABELS[:15]),
        "t10k-images": idx(IMAGES[15:]),
        "t10k-labels": idx(LABELS[15:]),
    } | {name.replace("_", "-"): content for name, content in change.items()}
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        ending = "idx3-ubyte" if name.endswith("images") else "idx1-ubyte"
        if content is not None:
            stored = gzip.compress(content) if gz else content
            (folder / f"{name}{joint}{ending}{'.gz' * gz}").write_bytes(stored)
    return folder


def read_all(folder: Path) -> None:
    source = sources.load(folder)
    _ = source.train, source.test


@pytest.mark.parametrize("gz", [False, True])
@pytest.mark.parametrize("joint", ["-", "."])
@pytest.mark.parametrize("inner", ["", "raw", "MNIST/raw"])
def test_the_four_files_give_images_and_labels(
    tmp_path: Path, gz: bool, joint: str, inner: str
) -> None:
    write(tmp_path / "digits" / inner, gz=gz, joint=joint)
    source = sources.load(tmp_path / "digits")
    assert source.name == "digits"
    assert source.classes == tuple("0123456789")
    assert np.array_equal(source.train.images, IMAGES[:15, ..., None])
    assert source.train.labels.tolist() == LABELS[:15].tolist()
    assert np.array_equal(source.require_test().images, IMAGES[15:, ..., None])


def test_fashion_mnist_has_names(no_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(no_data / "data" / "fashion-mnist" / "FashionMNIST" / "raw", gz=True)
    monkeypatch.setenv("DDCODEC_DATA", str(no_data / "data"))
    source = sources.load("fashion-mnist")
    assert source.name == "fashion-mnist"
    assert source.classes[9] == "Ankle boot"


def test_a_size_scales_the_images(tmp_path: Path) -> None:
    assert sources.load(write(tmp_path), size=3).train.images.shape == (15, 3, 3, 1)


def test_without_test_files_there_is_no_test_split(tmp_path: Path) -> None:
    assert sources.load(write(tmp_path, t10k_images=None, t10k_labels=None)).test is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"t10k_labels": None}, "no t10k-labels-idx1-ubyte.*a split needs both"),
        ({"t10k_images": None}, "no t10k-images-idx3-ubyte.*a split needs both"),
        ({"train_labels": None}, "no train-labels-idx1-ubyte.*a split needs both"),
        ({"train_images": b""}, f"{TRAIN}: is empty"),
        ({"train_images": idx(IMAGES[0])}, f"{TRAIN}: is no idx file of bytes in 3"),
        ({"train_images": idx(IMAGES, 13)}, f"{TRAIN}: is no idx file of bytes"),
        ({"train_images": idx(IMAGES)[:-1]}, f"{TRAIN}: should hold 400 bytes.*holds 399"),
        ({"train_images": idx(IMAGES) + b"x"}, f"{TRAIN}: should hold 400 bytes.*holds more"),
        ({"train_images": idx(IMAGES)}, f"{TRAIN}: holds 20 images, train-labels.* 15"),
        ({"t10k_labels": idx(LABELS[15:] + 9)}, "label 14 of image 0 lies outside"),
        ({"train_images": b"\0\0\x08\x03" + b"\xff" * 12}, "needs .* GiB of memory, this machine"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    folder = write(tmp_path, **change)
    with pytest.raises(SourceError, match=words) as refusal:
        read_all(folder)
    assert "\n" not in str(refusal.value)
    assert str(tmp_path) in str(refusal.value)


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b\x08", gzip.compress(idx(IMAGES))[:-9]])
def test_a_broken_gzip_file_is_named(tmp_path: Path, content: bytes) -> None:
    write(tmp_path, gz=True)
    (tmp_path / f"{TEST}.gz").write_bytes(content)
    with pytest.raises(SourceError, match=rf"{TEST}\.gz: "):
        _ = sources.load(tmp_path).test
