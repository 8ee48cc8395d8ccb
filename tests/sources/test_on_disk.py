"""Images in a temporary file: the same to whoever indexes them, and the same digests."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import basic_indices
from PIL import Image

from ddcodec import SourceError, encode, info
from ddcodec.sources import load, on_disk
from ddcodec.sources.base import Source
from ddcodec.sources.on_disk import OnDisk, only, room_for, temporary_folder

SHAPE = (23, 5, 4, 3)
PIXELS = np.random.default_rng(0).integers(0, 256, SHAPE, np.uint8)


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.fixture
def small_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let nothing be held in memory, and everything be gone through in several parts."""
    monkeypatch.setattr(on_disk, "HELD_BYTES", 0)
    for module in ("sources.on_disk", "sources.npz", "preprocessing.stored"):
        monkeypatch.setattr(f"ddcodec.{module}.AT_ONCE", 500)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)


@pytest.fixture
def written(small_memory: None) -> OnDisk:
    images = room_for(SHAPE, "here")
    assert isinstance(images, OnDisk)
    for start in range(0, 20, 4):
        images[start : start + 4] = PIXELS[start : start + 4]
    for index in (22, 20, 21):
        images[index] = PIXELS[index]
    return images


@given(
    st.one_of(
        basic_indices(SHAPE[:1], min_dims=1, allow_ellipsis=False),
        st.lists(st.integers(-23, 22)).map(lambda x: np.array(x, np.int64)),
        st.lists(st.booleans(), min_size=23, max_size=23).map(np.array),
    )
)
def test_an_index_gives_what_it_gives_of_an_array(index: Any) -> None:
    images = _on_disk()
    found = images[index]
    assert found.dtype == np.uint8
    assert np.array_equal(found, PIXELS[index])


def _on_disk() -> OnDisk:
    import io

    return OnDisk(SHAPE, io.BytesIO(b"head" + PIXELS.tobytes()), 4)


def test_what_is_put_in_place_comes_back(written: OnDisk) -> None:
    assert np.array_equal(written[:], PIXELS)
    assert np.array_equal(np.asarray(written), PIXELS)
    assert (len(written), written.shape, written.ndim, written.dtype) == (23, SHAPE, 4, np.uint8)
    with pytest.raises(IndexError):
        written[np.array([23])]


def test_some_of_them_stay_where_they_are(written: OnDisk) -> None:
    odd = np.arange(23) % 2 == 1
    some = only(written, odd)
    assert isinstance(some, OnDisk)
    assert some.shape == (11, *SHAPE[1:])
    assert np.array_equal(some[:], PIXELS[odd])
    assert np.array_equal(only(some, np.array([3, 1]))[:], PIXELS[odd][[3, 1]])
    assert np.array_equal(only(PIXELS, odd), PIXELS[odd])


def test_a_file_that_became_shorter_is_an_error_not_a_picture(written: OnDisk) -> None:
    written._file.truncate(5 * 60)
    assert len(written[:5]) == 5
    with pytest.raises(OSError, match="shorter than its images"):
        written[:]


def test_few_images_are_held_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(room_for(SHAPE, "here"), np.ndarray)
    monkeypatch.setattr(on_disk, "available_memory", lambda: 2000)
    assert isinstance(room_for(SHAPE, "here"), OnDisk)


def test_a_disk_without_room_is_said_before_the_work(
    small_memory: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(9, 9, 0))
    with pytest.raises(SourceError, match=r"^here: needs 0\.0 GiB on disk .*set TMPDIR to a") as e:
        room_for(SHAPE, "here")
    assert str(tmp_path) in str(e.value)


def test_without_a_wish_temporary_files_lie_on_a_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TMPDIR", "TEMP", "TMP"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("tempfile.tempdir", None)
    assert temporary_folder() in (Path("/var/tmp"), Path("/tmp"))
    monkeypatch.setattr(on_disk, "LARGE_TEMPORARY", Path("/nowhere"))
    assert temporary_folder() != Path("/nowhere")


def _npz(folder: Path, save: Any) -> Path:
    labels = np.arange(23) % 3
    save(
        folder / "x.npz",
        train_images=PIXELS,
        train_labels=labels,
        test_images=PIXELS[:7],
        test_labels=labels[:7],
    )
    return folder / "x.npz"


def _folder(folder: Path) -> Path:
    for number, pixels in enumerate(PIXELS):
        path = folder / "train" / "abc"[number % 3] / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        grey = number < 12 and number % 3 == 0
        Image.fromarray(pixels[..., 0] if grey else pixels).save(path)
    return folder


@pytest.mark.parametrize("kind", ["npz", "packed", "by column", "folder"])
@pytest.mark.parametrize("size", [None, 3])
def test_a_source_that_is_not_held_has_the_same_images_and_digest(
    kind: str, size: int | None, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if kind == "folder":
        path = _folder(tmp_path / "x")
    elif kind == "by column":
        path = tmp_path / "x.npz"
        np.savez(path, train_images=np.asfortranarray(PIXELS), train_labels=np.arange(23) % 3)
    else:
        path = _npz(tmp_path, np.savez if kind == "npz" else np.savez_compressed)
    held = load(path, size=size)
    digest, images = held.digest(), held.train.images
    request.getfixturevalue("small_memory")
    source = load(path, size=size)
    assert source.digest() == digest
    assert isinstance(source.train.images, OnDisk) or (kind == "by column" and size is None)
    assert np.array_equal(source.train.images[:], images)


def test_damage_of_an_archive_is_found_though_it_is_copied(
    small_memory: None, tmp_path: Path
) -> None:
    path = _npz(tmp_path, np.savez)
    data = bytearray(path.read_bytes())
    data[data.index(PIXELS.tobytes()) + 700] ^= 1
    path.write_bytes(data)
    with pytest.raises(SourceError, match="array 'train_images' cannot be read: Bad CRC"):
        _ = load(path).train


@pytest.mark.parametrize(
    ("codec", "options"), [("podd", {"ipc": 0.4}), ("ppodd", {"ipc": 0.4, "stages": 2})]
)
def test_an_encode_is_the_same_whether_its_images_are_held_or_not(
    codec: str, options: dict[str, Any], digits: Source, tmp_path: Path,
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    path = tmp_path / "digits.npz"
    names = np.array(digits.classes)
    np.savez(
        path, train_images=digits.train.images, train_labels=digits.train.labels, class_names=names
    )
    found = []
    for way in ("held", "on disk"):
        if way == "on disk":
            request.getfixturevalue("small_memory")
            monkeypatch.setattr("ddcodec.preprocessing.real.HELD_BYTES", 0)
        out = tmp_path / f"{way}.ddset"
        encode(load(path), out, codec, steps=4, profile="quick", **options)
        found.append(info(out)["content_digest"])
    assert found[0] == found[1]
