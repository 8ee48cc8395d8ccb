"""Encoded images to one uint8 array, and one line of error for whatever cannot be read."""

from __future__ import annotations

import io
import math
import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from ..errors import SourceError, one_line
from .base import Split, require_memory

DEEP_FORMATS = {"PNG", "PPM"}  # whose mode I, 32 bits for Pillow, holds 16 bits
DEEP_MODES = {"I", "I;16", "I;16L", "I;16B", "I;16N"}  # Pillow's names for 16-bit grey
GREY_MODES = {"1", "L", "LA", "La"} | DEEP_MODES
PIXELS_MAX = 1 << 26  # 8192 x 8192; above it a file is a mistake or an attack
TASK = 32  # images a thread takes at a time; one by one, small images cost more to hand over
# Formats by their first bytes: Pillow's way, to try one after the other, takes half the time of a
# 32x32 image. No others are opened: for EPS, Pillow would start a program.
FORMATS = (
    (b"\x89PNG", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"RIFF", "WEBP"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    *((b"P%d" % n, "PPM") for n in range(1, 7)),
)
BATCH = 512  # images decoded at a time, so that a data set is never twice in memory

Encoded = bytes | Path
Item = tuple[str, Encoded]  # what messages call an image, and its encoded form


def decode(name: str, data: Encoded, size: int | None = None) -> NDArray[np.uint8]:
    """Return one image upright, as uint8 (H, W, C): C is 1 where it is stored grey, else 3.

    16-bit grey goes to the nearest of 256 levels, of 16-bit colour Pillow keeps the high byte;
    transparency is dropped; palettes become RGB; of several frames the first counts. With ``size``
    the central square is scaled to that many pixels a side. Raises SourceError naming ``name``
    where Pillow cannot read all of the image.
    """
    try:
        file = io.BytesIO(data) if isinstance(data, bytes) else data.open("rb")
        with file, Image.open(file, formats=_formats(file)) as opened:
            if opened.width * opened.height > PIXELS_MAX:
                raise Image.DecompressionBombError
            if opened.mode == "I" and opened.format not in DEEP_FORMATS:
                raise ValueError("32-bit pixels have no fixed range")
            if size is not None:
                # A JPEG decodes to 1/2, 1/4 or 1/8 for little; twice the size keeps it sharp.
                opened.draft(None, (2 * size, 2 * size))
            pixels = _pixels(ImageOps.exif_transpose(opened))
            return pixels if size is None else resize(pixels, size)
    except UnidentifiedImageError:
        raise SourceError(
            f"{name}: is not an image in PNG, JPEG, WebP, GIF, BMP, TIFF or PPM; replace it"
        ) from None
    except Image.DecompressionBombError:
        raise SourceError(f"{name}: has more than {PIXELS_MAX:,} pixels; make it smaller") from None
    # Broken files make Pillow's decoders raise nearly anything, not only OSError.
    except Exception as error:
        raise SourceError(
            f"{name}: cannot be read as an image ({one_line(error)}); replace or remove it"
        ) from None


def _decode_each(items: list[Item], size: int | None) -> list[NDArray[np.uint8]]:
    return [decode(name, data, size) for name, data in items]


def _formats(file: IO[bytes]) -> tuple[str, ...]:
    """Return the format that the first bytes announce, if any, for Pillow to try."""
    start = file.read(8)
    file.seek(0)
    return tuple({name for magic, name in FORMATS if start.startswith(magic)})


def resize(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Return the central square of an image (H, W, C), scaled to (size, size, C)."""
    height, width, channels = image.shape
    side = min(height, width)
    if height == width == size:
        return image
    top, left = (height - side) // 2, (width - side) // 2
    # Cut first: with Pillow's own box the pixels beside it would bleed in.
    square = image[top : top + side, left : left + side]
    picture = Image.fromarray(square if channels == 3 else square[..., 0])
    scaled = picture.resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(scaled).reshape(size, size, channels)


def resize_all(images: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Return images (N, H, W, C) as (N, size, size, C), each as ``resize`` makes it."""
    if images.ndim != 4 or images.shape[1:3] == (size, size) or 0 in images.shape:
        return images
    scaled = _room(len(images), (size, size, images.shape[3]), "resized")
    for image, place in zip(images, scaled, strict=True):
        place[:] = resize(image, size)
    return scaled


def decode_all(items: Iterable[Item], count: int, size: int | None = None) -> NDArray[np.uint8]:
    """Return ``count`` images, given as (name, encoded), as uint8 (N, H, W, C).

    C is 1 if every image is grey; else 3, grey images having three equal channels. Raises
    SourceError naming the file that cannot be read, or two files whose sizes differ; ``size``
    makes all of them squares of that many pixels a side.
    """
    stack = np.empty((0, 0, 0, 1), np.uint8)
    first, done, rest = "", 0, iter(items)
    # The filter is set here, once: warnings.catch_warnings must not run in several threads.
    with warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count()) as pool:
        warnings.simplefilter("ignore")
        while batch := list(islice(rest, BATCH)):
            tasks = [batch[at : at + TASK] for at in range(0, len(batch), TASK)]
            decoded = chain.from_iterable(pool.map(partial(_decode_each, size=size), tasks))
            for (name, _), image in zip(batch, decoded, strict=True):
                if done == count:
                    raise SourceError(f"{name}: is one image more than there are labels")
                if done == 0:
                    first, stack = name, _room(count, image.shape, name)
                elif image.shape[:2] != stack.shape[1:3]:
                    raise another_size(name, image.shape, first, stack.shape[1:])
                if image.shape[2] > stack.shape[3]:
                    stack = np.repeat(stack, 3, axis=3)
                stack[done] = image
                done += 1
    if done != count:
        raise SourceError(f"{first or 'the source'}: {done} images from here on, {count} labels")
    return stack


def read_split(files: Sequence[Path], labels: Sequence[int], size: int | None) -> Split:
    """Return the images in files, as ``decode_all`` reads them, with their labels."""
    images = decode_all(((str(file), file) for file in files), len(files), size)
    return Split(images, np.asarray(labels, np.int64))


def another_size(
    name: str, shape: tuple[int, ...], first: str, first_shape: tuple[int, ...]
) -> SourceError:
    """Return the error for an image (H, W, ...) whose size is not that of the first."""
    return SourceError(
        f"{name}: is {_size(shape)}, but {first} is {_size(first_shape)} (width x height); resize "
        "all images to one size, as `size` does"
    )


def resized(read: Callable[[], Split], size: int | None) -> Callable[[], Split]:
    """Return a reader of the same split with its images scaled to ``size``, where one is given."""
    if size is None:
        return read

    def scaled() -> Split:
        split = read()
        return Split(resize_all(split.images, size), split.labels)

    return scaled


def _pixels(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode in DEEP_MODES:
        deep = np.asarray(image).astype(np.int64)
        if deep.min() < 0 or deep.max() > 0xFFFF:
            raise ValueError("its values do not fit in 16 bits")
        # Pillow's own conversion to 8 bits cuts everything above 255 to white.
        return ((deep * 255 + 0x7FFF) // 0xFFFF).astype(np.uint8)[..., None]
    if image.mode == "F":
        raise ValueError("floating-point pixels have no fixed range")
    if image.mode == "La":
        image = image.convert("LA")
    if image.mode in GREY_MODES:
        return np.asarray(image.convert("L"))[..., None]
    return np.asarray(image.convert("RGB"))


def _room(count: int, shape: tuple[int, ...], name: str) -> NDArray[np.uint8]:
    where = f"{name}: {count:,} images of {_size(shape)}"
    require_memory(count * math.prod(shape), where)
    try:
        return np.empty((count, *shape), np.uint8)
    except MemoryError:
        raise SourceError(
            f"{where} do not fit in memory; make them smaller, or use fewer"
        ) from None


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]}"
