"""Encoded images to one uint8 array, and one line of error for whatever cannot be read."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from ..errors import SourceError

DEEP_MODES = {"I", "I;16", "I;16L", "I;16B", "I;16N"}  # Pillow's names for 16-bit grey
GREY_MODES = {"1", "L", "LA", "La"} | DEEP_MODES
PIXELS_MAX = 1 << 26  # 8192 x 8192; above it a file is a mistake or an attack
BATCH = 512  # images decoded at a time, so that a data set is never twice in memory

Encoded = bytes | Path


def decode(name: str, data: Encoded) -> NDArray[np.uint8]:
    """Return one image upright, as uint8 (H, W, C): C is 1 where it is stored grey, else 3.

    16-bit grey goes to the nearest of 256 levels; transparency is dropped; of several frames the
    first counts. Raises SourceError naming ``name`` where Pillow cannot read all of the image.
    """
    try:
        with Image.open(io.BytesIO(data) if isinstance(data, bytes) else data) as opened:
            if opened.width * opened.height > PIXELS_MAX:
                raise Image.DecompressionBombError
            return _pixels(ImageOps.exif_transpose(opened))
    except UnidentifiedImageError:
        raise SourceError(f"{name}: is not an image; replace or remove it") from None
    except Image.DecompressionBombError:
        raise SourceError(f"{name}: has more than {PIXELS_MAX:,} pixels; make it smaller") from None
    # Broken files make Pillow's decoders raise nearly anything, not only OSError.
    except Exception as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise SourceError(
            f"{name}: cannot be read as an image ({reason or type(error).__name__}); "
            "replace or remove it"
        ) from None


def decode_all(items: Iterable[tuple[str, Encoded]], count: int) -> NDArray[np.uint8]:
    """Return ``count`` images, given as (name, encoded), as uint8 (N, H, W, C).

    C is 1 if every image is grey; else 3, grey images having three equal channels. Raises
    SourceError naming the file that cannot be read, or two files whose sizes differ.
    """
    stack = np.empty((0, 0, 0, 1), np.uint8)
    first, done, rest = "", 0, iter(items)
    # The filter is set here, once: warnings.catch_warnings must not run in several threads.
    with warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count()) as pool:
        warnings.simplefilter("ignore")
        while batch := list(islice(rest, BATCH)):
            decoded = pool.map(decode, *zip(*batch, strict=True))
            for (name, _), image in zip(batch, decoded, strict=True):
                if done == 0:
                    first, stack = name, _room(count, image.shape, name)
                elif image.shape[:2] != stack.shape[1:3]:
                    raise SourceError(
                        f"{name}: is {_size(image.shape)}, but {first} is "
                        f"{_size(stack.shape[1:])} (width x height); resize all images to one size"
                    )
                if image.shape[2] > stack.shape[3]:
                    stack = np.repeat(stack, 3, axis=3)
                stack[done] = image
                done += 1
    if done != count:
        raise ValueError(f"{count} images promised, {done} given")
    return stack


def _pixels(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode in DEEP_MODES:
        deep = np.asarray(image).astype(np.int64)
        if deep.min() < 0 or deep.max() > 0xFFFF:
            raise ValueError("its values do not fit in 16 bits")
        # Pillow's own conversion to 8 bits cuts everything above 255 to white.
        return ((deep * 255 + 0x7FFF) // 0xFFFF).astype(np.uint8)[..., None]
    if image.mode == "F":
        raise ValueError("floating-point pixels have no fixed range")
    if image.mode in GREY_MODES:
        return np.asarray(image.convert("L"))[..., None]
    return np.asarray(image.convert("RGB"))


def _room(count: int, shape: tuple[int, ...], name: str) -> NDArray[np.uint8]:
    try:
        return np.empty((count, *shape), np.uint8)
    except MemoryError:
        gib = count * int(np.prod(shape)) / 2**30
        raise SourceError(
            f"{name}: {count:,} images of {_size(shape)} need {gib:.1f} GiB of memory; "
            "resize the images, or use fewer"
        ) from None


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]}"
