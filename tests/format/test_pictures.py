"""Images as lossy pictures: sheets, sizes before memory, and digests of what is stored."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, features

from ddcodec.errors import InvalidFile, LimitExceeded, Unsupported, UsageError
from ddcodec.format import ChunkReader, Storage, pictures, read, write
from ddcodec.format.pictures import decode_picture, encode_picture, sheet, webp_size
from ddcodec.inspection.verify import verify
from tests.helpers.lic_files import lic_arrays, lic_manifest

CODERS = [coder for coder in ("webp", "avif") if features.check(coder)]


def smooth(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Return images that pictures keep well: a slope and a colour each."""
    count, channels, height, width = shape
    random = np.random.default_rng(seed)
    colour = random.integers(40, 160, (count, channels, 1, 1))
    slope = np.add.outer(np.arange(height), np.arange(width)) % 64
    return (colour + slope).astype(np.uint8)


@pytest.mark.parametrize("coder", CODERS)
@pytest.mark.parametrize("shape", [(1, 3, 16, 16), (5, 3, 32, 16), (7, 1, 16, 24), (32, 3, 32, 32)])
def test_images_come_back_at_their_places(coder: str, shape: tuple[int, ...]) -> None:
    images = smooth(shape)
    found = decode_picture("x", encode_picture(images, coder, 95), shape, coder)
    assert found.shape == shape
    assert found.dtype == np.uint8
    assert np.abs(found.astype(int) - images).mean() < 6
    small = encode_picture(images, coder, 10)
    assert len(small) <= len(encode_picture(images, coder, 95))
    assert encode_picture(images, coder, 10) == small


@given(count=st.integers(1, 3000), height=st.integers(1, 300), width=st.integers(1, 300))
def test_a_sheet_holds_all_and_little_more(count: int, height: int, width: int) -> None:
    try:
        columns, rows = sheet((count, 3, height, width))
    except LimitExceeded:
        assert count * height * width > 1 << 25 or count * min(height, width) > 16383
        return
    assert columns * rows - columns < count <= columns * rows
    assert columns * width <= 16383
    assert rows * height <= 16383


def test_what_does_not_fit_in_a_picture_is_said_before_the_work() -> None:
    with pytest.raises(UsageError, match="do not fit in one picture"):
        encode_picture(np.zeros((1, 3, 16384, 1), np.uint8), "webp", 80)


@given(data=st.binary(max_size=64), keep=st.integers(0, 40))
def test_no_bytes_are_taken_for_a_picture_of_another_size(data: bytes, keep: int) -> None:
    good = encode_picture(smooth((2, 3, 8, 8)), "webp", 50)
    changed = good[:keep] + data
    try:
        images = decode_picture("x", changed, (2, 3, 8, 8), "webp")
    except InvalidFile as error:
        code = error.code
    else:
        # What is as long as it was may decode to other pixels of that size; digests find those.
        assert (images.shape, len(changed)) == ((2, 3, 8, 8), len(good))
        return
    assert code == "DDS-E025"


def test_the_size_is_read_before_a_library_sees_the_picture(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("opened")

    large = encode_picture(smooth((1, 3, 64, 64)), "webp", 50)
    assert webp_size(large) == (64, 64)
    monkeypatch.setattr(Image, "open", never)
    with pytest.raises(InvalidFile, match="not a plain picture of 8x8"):
        decode_picture("x", large, (1, 3, 8, 8), "webp")


def test_lossless_pictures_are_read_as_well() -> None:
    images = np.random.default_rng(1).integers(0, 256, (1, 3, 8, 12), np.uint8)
    out = io.BytesIO()
    Image.fromarray(images[0].transpose(1, 2, 0)).save(out, "WEBP", lossless=True)
    assert np.array_equal(decode_picture("x", out.getvalue(), images.shape, "webp"), images)


def test_a_pillow_without_the_format_is_unsupported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "check", lambda name: False)
    with pytest.raises(Unsupported, match="this Pillow has no webp"):
        decode_picture("x", b"", (1, 3, 8, 8), "webp")


def test_digests_are_those_of_the_stored_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = lic_manifest()
    how = {"images": Storage(chunk=3, coder="webp"), "labels": Storage(chunk=3)}
    path = tmp_path / "x.ddset"
    write(path, found, lic_arrays(found), how)
    assert verify(path) == []
    # Another library's rounding is no damage.
    decode = pictures.decode_picture
    monkeypatch.setattr(
        "ddcodec.format.payload.decode_picture", lambda *a: decode(*a) ^ np.uint8(1)
    )
    other = read(path).arrays["images"]
    with ChunkReader(path) as reader:
        assert np.array_equal(reader.read("images", 1), other[3:])
    assert verify(path) == []
    monkeypatch.undo()
    assert np.array_equal(read(path).arrays["images"], other ^ np.uint8(1))
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    with pytest.raises(InvalidFile):
        read(bytes(data))
