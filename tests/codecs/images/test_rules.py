"""The codec ``images``: anyone's distilled images, whole or in chunks."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ddcodec import info
from ddcodec.errors import InvalidFile, LimitExceeded, Unsupported
from ddcodec.format import ChunkReader, Manifest, Storage, read, to_bytes, write
from ddcodec.limits import Limits
from tests.helpers.hostile import Forgery, set_path
from tests.helpers.small_files import images_arrays, images_manifest

INDEX = np.array([0, 2, 1, 2, 0], dtype=np.int32)
CHUNKS = {"images": Storage(chunk=2), "labels": Storage(chunk=2)}


@pytest.mark.parametrize("chunk", [None, 1, 2, 5])
@pytest.mark.parametrize("kind", ["soft", "index"])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_images_come_back(tmp_path: Path, dtype: str, kind: str, chunk: int | None) -> None:
    arrays = images_arrays()
    arrays["images"] = arrays["images"].astype(dtype)
    if kind == "index":
        arrays["labels"] = INDEX
    manifest = images_manifest()
    manifest.labels["kind"] = kind
    path = tmp_path / "x.ddset"
    write(path, manifest, arrays, {name: Storage(chunk=chunk) for name in arrays})
    found = read(path).arrays
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        assert np.array_equal(found[name], array)
    facts = info(path)
    assert (facts["pixels"], facts["codec"], facts["patches"]) == (5 * 16, "images", None)


def test_quantised_images_may_be_chunked_with_a_scale_for_each() -> None:
    arrays = images_arrays()
    arrays["images"] = arrays["images"].astype(np.float32) / 255
    storage = {"images": Storage(bits=8, per_channel=True, chunk=2), "labels": Storage(chunk=2)}
    data, complete = to_bytes(images_manifest(), arrays, storage)
    assert len(complete.tensors["images"].quantiser["scale"]) == 5
    assert np.abs(read(data).arrays["images"] - arrays["images"]).max() < 0.003


@pytest.mark.parametrize(
    ("changes", "arrays", "storage", "code", "words"),
    [
        ({"labels": {"kind": "hard"}}, {}, {}, "DDS-E014", "soft or index"),
        ({"labels": {"kind": "soft", "grid": [1, 1]}}, {}, {}, "DDS-E014", "fields"),
        ({"patches": {"grid": [1, 1]}}, {}, {}, "DDS-E010", "patches"),
        ({"order": {"grid": [1, 1]}}, {}, {}, "DDS-E010", "order"),
        ({}, {"more": np.zeros(1, np.uint8)}, {}, "DDS-E013", "images and labels"),
        ({}, {"images": np.zeros((5, 4, 4), np.uint8)}, {}, "DDS-E013", "uint8 or float32"),
        ({}, {"images": np.zeros((5, 1, 4, 4), np.int32)}, {}, "DDS-E013", "uint8 or float32"),
        ({}, {"images": np.zeros((4, 1, 4, 4), np.uint8)}, {}, "DDS-E013", "float32 .N, classes"),
        ({}, {"labels": INDEX}, {}, "DDS-E013", "float32 .N, classes"),
        ({"labels": {"kind": "index"}}, {}, {}, "DDS-E013", "int32 .N"),
        ({}, {}, {"labels": Storage(chunk=2)}, "DDS-E013", "differ in 'chunk'"),
        ({"labels": {"kind": "index"}}, {"labels": INDEX + 1}, {}, "DDS-E011", "out of range"),
        ({"labels": {"kind": "index"}}, {"labels": INDEX - 1}, {}, "DDS-E014", "negative"),
        ({}, {"labels": np.zeros((5, 3), np.float32)}, {}, "DDS-E014", "all zero"),
    ],
)
def test_what_is_no_set_of_images_is_refused(
    changes: dict[str, Any],
    arrays: dict[str, np.ndarray],
    storage: dict[str, Storage],
    code: str,
    words: str,
) -> None:
    full = images_manifest().__dict__ | changes
    data, _ = to_bytes(Manifest(**full), images_arrays() | arrays, storage)
    with pytest.raises(InvalidFile, match=words) as caught:
        read(data)
    assert caught.value.code == code


def test_labels_that_would_fill_the_memory_are_refused() -> None:
    """Class indices take no room in a file, soft labels of as many classes a lot in memory."""
    manifest = images_manifest(classes=tuple(map(str, range(1000))))
    manifest.labels["kind"] = "index"
    data, _ = to_bytes(manifest, images_arrays() | {"labels": INDEX}, {})
    needed = 5 * 1000 * 8
    read(data, limits=Limits(decoded_bytes=needed))
    with pytest.raises(LimitExceeded, match="labels"):
        read(data, limits=Limits(decoded_bytes=needed - 1))
    with pytest.raises(LimitExceeded, match="5 images"):
        read(data, limits=Limits(patches=4))


def test_the_cap_on_decoded_bytes_is_for_one_chunk_where_chunks_are_read(tmp_path: Path) -> None:
    path = tmp_path / "x.ddset"
    arrays = images_arrays(5)
    write(path, images_manifest(), arrays, CHUNKS)
    whole, labels = 5 * 4 * 4 + 5 * 3 * 4, 5 * 3 * 8
    assert labels < whole
    with ChunkReader(path, limits=Limits(decoded_bytes=labels)) as reader:
        assert np.array_equal(reader.read("images", 2), arrays["images"][4:])
    with pytest.raises(LimitExceeded, match="the tensors decode"):
        read(path, limits=Limits(decoded_bytes=labels))
    with pytest.raises(LimitExceeded, match="decodes to 32 bytes"):
        ChunkReader(path, limits=Limits(decoded_bytes=31))


def test_memory_is_that_of_a_chunk(tmp_path: Path) -> None:
    """192 MiB of images are read within 24 MiB more than an empty process needs."""
    path = tmp_path / "large.ddset"
    side, chunk = 256, 32
    images = np.zeros((96 * chunk, 1, side, side), dtype=np.uint8)
    images[:, 0, 0, 0] = np.arange(len(images)) % 256
    labels = np.zeros(len(images), dtype=np.int32)
    storage = {"images": Storage(chunk=chunk), "labels": Storage(chunk=chunk)}
    manifest = images_manifest()
    manifest.image.update(height=side, width=side)
    manifest.labels["kind"] = "index"
    write(path, manifest, {"images": images, "labels": labels}, storage)
    code = f"""
import resource
from ddcodec.format import ChunkReader
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
with ChunkReader({str(path)!r}) as reader:
    reader.read("images", 0)
    before = peak()
    total = sum(int(reader.read("images", i).sum()) for i in range(reader.chunks("images")))
    reader.check_content()
    reader.check_data()
    print(total, peak() - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    total, grown = map(int, done.stdout.split())
    assert total == int(images.sum())
    assert grown < 24


@pytest.mark.parametrize(
    "change",
    [
        set_path("tensors/labels/coder", "rans"),
        set_path("tensors/labels/more", 1),
        set_path("image/preprocessing", {"kind": "wavelet_whiten"}),
        set_path("labels", {"kind": "logits"}),
        set_path("recipe/warmup", 5),
        set_path("tensors/images/quantiser", {"kind": "vector"}),
    ],
)
def test_what_a_later_minor_version_adds_is_unsupported(
    small_images: bytes, change: Callable[[Forgery], None]
) -> None:
    forgery = Forgery.of(small_images)
    change(forgery)
    with pytest.raises(InvalidFile):
        read(forgery.build())
    forgery.manifest["format"]["minor"] = 3
    with pytest.raises(Unsupported, match=r"format 1\.3, this version reads 1\.0.*update ddcodec"):
        read(forgery.build())
