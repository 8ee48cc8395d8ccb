"""What a file would take as fp32 images, PNG and npz: compared with the real thing."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ddcodec import info, load, pack
from ddcodec.data.export import png
from ddcodec.inspection.equivalents import ByteCounter, eight_bits, equivalents, npz_bytes


def saved(**arrays: np.ndarray) -> int:
    data = io.BytesIO()
    np.savez_compressed(data, **arrays)
    return len(data.getvalue())


def test_a_poster_is_one_png_and_its_patches_an_npz(digits_file: Path) -> None:
    found = equivalents(digits_file)
    ds = load(digits_file)
    images = torch.stack([image for image, _ in ds]).numpy()
    labels = ds.soft_labels.numpy()
    assert found["npz"]["total"] == saved(images=images, labels=labels)
    assert found["npz"]["total"] == found["npz"]["images"] + found["npz"]["labels"]
    size = digits_file.stat().st_size
    assert found["fp32_images_per_class"] == size / (10 * 4 * 64)
    poster = ds.file.arrays["poster"]
    assert found["png"]["images"] == len(png(eight_bits(poster)))
    assert found["png"]["labels"] == saved(labels=labels)
    assert found["png"]["total"] == found["png"]["images"] + found["png"]["labels"]


def test_stored_bytes_stay_bytes(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    images = random.integers(0, 256, (12, 3, 5, 7), dtype=np.uint8)
    labels = np.arange(12) % 3
    pack(images, labels, ("a", "b", "c"), tmp_path / "x.ddset")
    found = equivalents(tmp_path / "x.ddset")
    soft = np.eye(3, dtype=np.float32)[labels]
    assert found["npz"]["total"] == saved(images=images, labels=soft)
    assert found["png"]["images"] == sum(len(png(x.transpose(1, 2, 0))) for x in images)


def test_info_has_them_only_when_asked(digits_file: Path) -> None:
    assert "equivalents" not in info(digits_file)
    assert info(digits_file, equivalents=True)["equivalents"] == equivalents(digits_file)


@given(rows=st.integers(1, 50), parts=st.integers(1, 5), seed=st.integers(0, 99))
def test_an_array_in_parts_takes_what_numpy_takes(rows: int, parts: int, seed: int) -> None:
    array = np.random.default_rng(seed).normal(size=(rows, 3)).round(1).astype("<f4")
    found = npz_bytes("images", array.shape, "<f4", iter(np.array_split(array, parts)))
    assert found == saved(images=array)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_poster_fills_the_range_of_a_byte(channels: int) -> None:
    poster = np.linspace(-3, 5, channels * 24, dtype=np.float32).reshape(channels, 4, 6)
    picture = eight_bits(poster)
    assert (picture.dtype, picture.shape) == (np.uint8, (4, 6, channels))
    assert (picture.min(), picture.max()) == (0, 255)
    with Image.open(io.BytesIO(png(picture))) as read:
        assert read.size == (6, 4)
    assert not eight_bits(np.full((1, 2, 2), 7.0, np.float32)).any()


def test_a_counter_is_as_long_as_the_file_would_be() -> None:
    counter, file = ByteCounter(), io.BytesIO()
    for target in (counter, file):
        target.write(b"12345")
        target.seek(1)
        target.write(np.zeros(2, np.uint8).data)
        target.seek(0, 1)
        target.seek(-1, 2)
        target.write(b"abc")
    assert counter.tell() == file.tell()
    assert counter.size == len(file.getvalue())
