from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ddcodec.errors import SourceError
from ddcodec.sources import images
from ddcodec.sources.images import decode, decode_all
from ddcodec.sources.scaling import resize, resize_all

RANDOM = np.random.default_rng(3)
GREY = RANDOM.integers(0, 256, (6, 4), np.uint8)
COLOUR = RANDOM.integers(0, 256, (6, 4, 3), np.uint8)


def stored(image: Image.Image | np.ndarray, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def items(*data: bytes) -> list[tuple[str, bytes]]:
    return [(f"file {i}", d) for i, d in enumerate(data)]


def test_grey_images_keep_one_channel_bit_for_bit() -> None:
    stack = decode_all(items(stored(GREY), stored(255 - GREY)), 2)
    assert stack.dtype == np.uint8
    assert np.array_equal(stack, np.stack([GREY, 255 - GREY])[..., None])


@pytest.mark.parametrize("colour_first", [True, False])
def test_one_colour_image_makes_all_of_them_rgb(colour_first: bool) -> None:
    pair = [stored(COLOUR), stored(GREY)]
    stack = decode_all(items(*(pair if colour_first else pair[::-1])), 2)
    expected = np.stack([COLOUR, np.repeat(GREY[..., None], 3, axis=2)])
    assert np.array_equal(stack, expected if colour_first else expected[::-1])


def test_order_is_kept_over_many_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "BATCH", 3)
    data = [stored(np.full((2, 2), i, np.uint8)) for i in range(20)]
    assert decode_all(items(*data), 20)[:, 0, 0, 0].tolist() == list(range(20))


def test_black_and_white_images_use_the_whole_range() -> None:
    bits = GREY > 128
    stack = decode("x", stored(Image.fromarray(bits)))
    assert np.array_equal(stack, (bits * 255).astype(np.uint8)[..., None])


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM", "BMP", "GIF"])
def test_lossless_formats_give_the_pixels_that_were_stored(kind: str) -> None:
    assert np.array_equal(decode("x", stored(GREY, kind))[..., 0], GREY)


@pytest.mark.parametrize("kind", ["EPS", "PDF", "ICO", "TGA"])
def test_formats_that_data_sets_do_not_use_are_refused(kind: str) -> None:
    with pytest.raises(SourceError, match="x: is not an image"):
        decode("x", stored(COLOUR, kind))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bit_grey_is_scaled_not_clipped(kind: str) -> None:
    deep = np.array([[0, 128, 129, 256], [257, 1000, 32896, 65535]], np.uint16)
    assert decode("x", stored(deep, kind))[..., 0].tolist() == [[0, 0, 1, 1], [1, 4, 128, 255]]


@pytest.mark.parametrize("mode", ["P", "PA", "RGBA", "LA", "CMYK", "YCbCr", "1", "La", "RGBa"])
def test_every_mode_gives_grey_or_rgb(mode: str) -> None:
    pixels = images.pixels_of(Image.new(mode, (4, 6)))
    assert pixels.dtype == np.uint8
    assert pixels.shape == (6, 4, 1 if mode in ("LA", "1", "La") else 3)


def test_transparency_is_dropped_and_a_palette_looked_up() -> None:
    alpha = np.dstack([COLOUR, GREY])
    assert np.array_equal(decode("x", stored(alpha)), COLOUR)
    grey = Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(255 - GREY)])
    assert np.array_equal(decode("x", stored(grey))[..., 0], GREY)
    palette = Image.new("P", (2, 1))
    palette.putpalette([9, 8, 7, 200, 100, 0])
    palette.putdata([1, 0])
    assert decode("x", stored(palette)).tolist() == [[[200, 100, 0], [9, 8, 7]]]


def test_a_size_scales_the_central_square() -> None:
    wide = np.zeros((4, 12, 3), np.uint8)
    wide[:, :4], wide[:, 4:8], wide[:, 8:] = 10, 200, 30
    small = decode("x", stored(wide), size=2)
    assert small.shape == (2, 2, 3)
    assert (small == 200).all()
    assert (decode("x", stored(wide), size=7) == 200).all()


def test_a_size_brings_mixed_sizes_together() -> None:
    data = items(stored(COLOUR), stored(GREY), stored(COLOUR[:5]), stored(COLOUR[:4]))
    stack = decode_all(data, 4, size=4)
    assert stack.shape == (4, 4, 4, 3)
    assert np.array_equal(stack[3], COLOUR[:4])  # already of that size: no pixel changes


def test_arrays_are_scaled_as_files_are() -> None:
    grey = RANDOM.integers(0, 256, (3, 9, 6, 1), np.uint8)
    expected = np.stack([decode("x", stored(image[..., 0]), size=4) for image in grey])
    assert np.array_equal(resize_all(grey, 4, "x"), expected)
    assert np.array_equal(resize_all(grey[:, :6], 6, "x"), grey[:, :6])


def test_a_large_jpeg_is_scaled_close_to_its_full_decode() -> None:
    ramp = np.linspace(0, 255, 512).astype(np.uint8)
    across = np.tile(ramp, (512, 1))
    picture = np.dstack([across, across.T, 255 - across])
    data = stored(picture, "JPEG", quality=95)
    small = decode("x", data, size=32).astype(int)
    whole = resize(decode("x", data), 32).astype(int)
    assert abs(small - whole).max() <= 4


def test_exif_rotation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90 degrees clockwise to view
    assert np.array_equal(decode("x", stored(COLOUR, exif=exif)), np.rot90(COLOUR, -1))


def test_a_palette_with_transparency_decodes_without_a_warning() -> None:
    picture = Image.fromarray(GREY).convert("P")
    data = stored(picture, transparency=bytes(range(256)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(decode_all(items(data), 1)[0], np.repeat(GREY[..., None], 3, 2))


def test_the_callers_warning_filters_are_left_as_they_were() -> None:
    before = list(warnings.filters)
    decode_all(items(*[stored(GREY)] * 64), 64)
    assert warnings.filters == before


def test_two_sizes_are_refused_with_both_files_named() -> None:
    data = items(stored(COLOUR), stored(COLOUR), stored(COLOUR[:5]))
    with pytest.raises(SourceError) as refusal:
        decode_all(data, 3)
    assert str(refusal.value) == (
        "file 2: is 4x5, but file 0 is 4x6 (width x height); "
        "resize all images to one size, as `size` does"
    )


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is not an image"),
        (b"GIF87a", "is not an image|cannot be read"),
        (stored(COLOUR)[:-30], "cannot be read as an image"),
        (stored(COLOUR, "JPEG")[:200], "cannot be read as an image|is not an image"),
        (stored(GREY.astype(np.float32), "TIFF"), "floating-point"),
        (stored(np.array([[200]], np.int32), "TIFF"), "32-bit pixels"),
        (stored(np.array([[70000]], np.int32), "TIFF"), "32-bit pixels"),
    ],
)
def test_what_is_no_readable_image_is_named(data: bytes, words: str) -> None:
    with pytest.raises(SourceError, match=f"file 0: .*({words})"):
        decode_all(items(data), 1)


def test_an_image_of_absurd_size_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "PIXELS_MAX", 23)
    with pytest.raises(SourceError, match="file 0: has more than 23 pixels"):
        decode_all(items(stored(COLOUR)), 1)


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"]),
    at=st.floats(0, 1, exclude_max=True),
    patch=st.binary(min_size=1, max_size=6),
)
def test_a_damaged_image_gives_pixels_or_one_line(kind: str, at: float, patch: bytes) -> None:
    data = bytearray(stored(COLOUR, kind))
    start = int(at * len(data))
    data[start : start + len(patch)] = patch
    line, stack = "", None
    try:
        stack = decode_all(items(bytes(data)), 1)
    except SourceError as refusal:
        line = str(refusal)
    if stack is None:
        assert line.startswith("file 0: ")
        assert "\n" not in line
    else:
        assert stack.dtype == np.uint8
        assert stack.shape[3] in (1, 3)
