"""Pieces stored as one WebP or AVIF picture: lossy, and decoded by Pillow's libraries.

The rows of a piece lie side by side on a sheet (specification, section 5.2). What a picture holds
is what its decoder makes of it, so digests of such pieces are those of the stored bytes.
"""

from __future__ import annotations

import io
from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidFile, LimitExceeded, Unsupported, UsageError
from .tensors import PICTURES

SIDE = 16383  # pixels, WebP's limit
PIXELS = 1 << 26  # of a sheet
SETTINGS: dict[str, dict[str, Any]] = {"webp": {"method": 6}, "avif": {"max_threads": 1}}


def sheet(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return (columns, rows) of the sheet of a piece (n, C, H, W); raises LimitExceeded."""
    count, _, height, width = shape
    root = isqrt(count - 1) + 1  # the least whose square holds all
    columns = max(1, min(root, SIDE // width))
    rows = -(-count // columns)
    if max(columns * width, rows * height) > SIDE or columns * width * rows * height > PIXELS:
        raise LimitExceeded(
            f"{count} images of {width}x{height} do not fit in one picture of at most {SIDE} "
            f"pixels a side and {PIXELS} in all",
            "DDS-E040",
        )
    return columns, rows


def check_picture(coder: str, shape: tuple[int, ...]) -> None:
    """Raise Unsupported where this Pillow lacks the coder, UsageError for what is too large."""
    _pillow(coder)
    try:
        sheet(shape)
    except LimitExceeded as error:
        raise UsageError(f"`images`={coder}: {error}; use `images`=zstd") from None


def encode_picture(images: NDArray[np.uint8], coder: str, quality: int) -> bytes:
    """Return images uint8 (n, C, H, W), C 1 or 3, as one picture.

    Raises UsageError for what does not fit in one, Unsupported where this Pillow lacks the format.
    """
    count, channels, height, width = images.shape
    try:
        columns, rows = sheet(images.shape)
    except LimitExceeded as error:
        raise UsageError(f"{error}; store smaller pieces") from None
    whole = np.empty((rows * columns, channels, height, width), np.uint8)
    whole[:count] = images
    # An empty place repeats the last image rather than adding an edge to code.
    whole[count:] = images[-1]
    grid = whole.reshape(rows, columns, channels, height, width).transpose(0, 3, 1, 4, 2)
    flat = np.ascontiguousarray(grid).reshape(rows * height, columns * width, channels)
    picture = _pillow(coder).fromarray(np.repeat(flat, 3, 2) if channels == 1 else flat)
    out = io.BytesIO()
    picture.save(out, coder.upper(), quality=quality, **SETTINGS[coder])
    return out.getvalue()


def decode_picture(
    name: str, data: bytes | memoryview, shape: tuple[int, ...], coder: str
) -> NDArray[np.uint8]:
    """Return the images uint8 (n, C, H, W) of a stored picture.

    Raises InvalidFile where it is none of exactly this size, Unsupported without the format.
    """
    count, channels, height, width = shape
    columns, rows = sheet(shape)
    size = (columns * width, rows * height)
    data = bytes(data)
    library = _pillow(coder)

    def fail(why: str) -> InvalidFile:
        return InvalidFile(f"tensor '{name}': {coder}: {why}", "DDS-E025")

    # A decoder may allocate what a header claims when it is opened: the header is read first.
    claimed = size if coder == "avif" else webp_size(data)
    if claimed != size:
        raise fail(f"not a plain picture of {size[0]}x{size[1]} pixels")
    try:
        with library.open(io.BytesIO(data), formats=[coder.upper()]) as picture:
            if picture.size != size or getattr(picture, "n_frames", 1) != 1:
                raise fail(f"not a plain picture of {size[0]}x{size[1]} pixels")
            if picture.mode != "RGB":
                raise fail("not a picture of three colours without transparency")
            pixels = np.asarray(picture)
    except (OSError, ValueError, SyntaxError, EOFError, RuntimeError, RuntimeWarning):
        raise fail("damaged") from None
    except library.DecompressionBombError:
        raise fail("larger than its images") from None
    grid = pixels.reshape(rows, height, columns, width, 3).transpose(0, 2, 4, 1, 3)
    images = grid.reshape(rows * columns, 3, height, width)[:count]
    # Grey is written in all three; green is the one that colour conversion changes least.
    return np.ascontiguousarray(images if channels == 3 else images[:, 1:2])


def webp_size(data: bytes) -> tuple[int, int] | None:
    """Return (width, height) of a WebP file of one still picture and nothing else, else None."""
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or len(data) < 30:
        return None
    if int.from_bytes(data[4:8], "little") + 8 != len(data):
        return None
    if int.from_bytes(data[16:20], "little") not in (len(data) - 20, len(data) - 21):
        return None
    if data[12:16] == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
        sides = (int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (26, 28))
        return next(sides), next(sides)
    if data[12:16] == b"VP8L" and data[20] == 0x2F:
        both = int.from_bytes(data[21:25], "little")
        return (both & 0x3FFF) + 1, (both >> 14 & 0x3FFF) + 1
    return None


def _pillow(coder: str) -> Any:
    from PIL import Image, features

    if coder not in PICTURES or not features.check(coder):
        raise Unsupported(f"this Pillow has no {coder}; install one that has, or use another coder")
    return Image
