"""Encoded images to uint8 arrays, all or a class at a time; what cannot be read is one line."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError, features

from ..errors import SourceError, one_line
from .complete import POINTER
from .metadata import UPRIGHT, without_metadata
from .on_disk import Images, room_for
from .scaling import in_colour, resize, three_channels
from .split import Split

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
    *((start, "TIFF") for start in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    *((b"P%d" % n, "PPM") for n in range(1, 7)),
)
BRANDS = {b"avif": "AVIF", b"avis": "AVIF"}  # of what begins with the box ftyp, as films do
HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
READ = "PNG, JPEG, WebP, AVIF, GIF, BMP, TIFF or PPM"
START = 64  # bytes that tell a format
STRIPPED = {"PNG", "JPEG", "WEBP", "TIFF", "AVIF"}  # of their metadata, before Pillow sees them
FILE_BYTES = 1 << 30  # of one of these; their pixels have at most a quarter of that
BATCH = 512  # images decoded at a time, so that a data set is never twice in memory

Encoded = bytes | Path
Item = tuple[str, Encoded]  # what messages call an image, and its encoded form
Decoded = tuple[str, NDArray[np.uint8]]  # and its pixels (H, W, C)


def decode(name: str, data: Encoded, size: int | None = None) -> NDArray[np.uint8]:
    """Return one image upright, as uint8 (H, W, C): C is 1 where it is stored grey, else 3.

    16-bit grey goes to the nearest of 256 levels, of 16-bit colour Pillow keeps the high byte;
    transparency is dropped; palettes become RGB; of several frames the first counts. With ``size``
    the central square is scaled to that many pixels a side. Raises SourceError naming ``name``
    where Pillow cannot read all of the image.
    """
    try:
        with io.BytesIO(data) if isinstance(data, bytes) else data.open("rb") as file:
            found, upright, orientation = _prepared(name, file)
            with Image.open(upright, formats=(found,)) as opened:
                if opened.width * opened.height > PIXELS_MAX:
                    raise Image.DecompressionBombError
                if opened.mode == "I" and opened.format not in DEEP_FORMATS:
                    raise ValueError("32-bit pixels have no fixed range")
                if size is not None:
                    # A JPEG decodes to 1/2, 1/4 or 1/8 for little; twice the size keeps it sharp.
                    opened.draft(None, (2 * size, 2 * size))
                turned = _turned(opened) if found == "AVIF" else opened
                pixels = TURNS[orientation](pixels_of(turned))
        return np.ascontiguousarray(pixels if size is None else resize(pixels, size))
    except SourceError:
        raise
    except UnidentifiedImageError:
        raise SourceError(f"{name}: is not an image in {READ}; replace it") from None
    except Image.DecompressionBombError:
        raise SourceError(f"{name}: has more than {PIXELS_MAX:,} pixels; make it smaller") from None
    # Broken files make Pillow's decoders raise nearly anything, not only OSError.
    except Exception as error:
        raise SourceError(
            f"{name}: cannot be read as an image ({one_line(error)}); replace or remove it"
        ) from None


# How pixels (H, W, C) come upright, by the orientation that EXIF states.
TURNS: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: x[::-1, ::-1].swapaxes(0, 1),
    8: lambda x: np.rot90(x),
}


def format_of(start: bytes) -> str:
    """Return Pillow's name of the format that the first bytes announce, "" where it is not read."""
    if start[4:8] == b"ftyp":
        brands = [start[8:12], *(start[at : at + 4] for at in range(16, len(start), 4))]
        return next((BRANDS[brand] for brand in brands if brand in BRANDS), "")
    return next((name for magic, name in FORMATS if start.startswith(magic)), "")


def is_grey(name: str, data: Encoded) -> bool:
    """Say whether ``decode`` gives one channel: from the header alone, which costs little.

    Raises SourceError where it is no image.
    """
    try:
        with io.BytesIO(data) if isinstance(data, bytes) else data.open("rb") as file:
            found = format_of(file.read(START))
            file.seek(0)
            with Image.open(file, formats=(found,)) as opened:
                return str(opened.mode) in GREY_MODES
    except Exception:  # metadata may be broken, which costs no pixels
        return bool(decode(name, data).shape[2] == 1)


def is_image(path: Path) -> bool:
    """Say whether a file of any name is an image, by its content: Pillow can read its header."""
    try:
        with path.open("rb") as file:
            found = format_of(file.read(START))
            file.seek(0)
            if not found:
                return False
            with Image.open(file, formats=(found,)):
                return True
    except Exception:  # as nearly anything, where the first bytes were a coincidence
        return False


def _prepared(name: str, file: IO[bytes]) -> tuple[str, IO[bytes], int]:
    """Return the format of an image, a file of it that Pillow can read, and its orientation.

    Raises SourceError for what is not read.
    """
    start = file.read(START)
    file.seek(0)
    found = format_of(start)
    if not found:
        if start.startswith(POINTER):
            raise SourceError(f"{name}: is a Git LFS pointer, not the file; run `git lfs pull`")
        if start[4:8] == b"ftyp" and start[8:12] in HEIC:
            raise SourceError(f"{name}: is HEIC, which is not read; convert it to JPEG or PNG")
        raise UnidentifiedImageError
    if found == "AVIF" and not features.check("avif"):
        raise SourceError(f"{name}: is AVIF, which needs Pillow 11.3 or later; install that")
    if found not in STRIPPED:
        return found, file, UPRIGHT
    if file.seek(0, io.SEEK_END) > FILE_BYTES:
        raise SourceError(f"{name}: has more than {FILE_BYTES:,} bytes, which no image needs")
    file.seek(0)
    data, orientation = without_metadata(file.read())
    return found, io.BytesIO(data), orientation


def _turned(image: Image.Image) -> Image.Image:
    """Return an image upright; where its metadata is broken, as it is."""
    image.load()
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # as nearly anything else, see above
        return image


def decode_all(items: Iterable[Item], count: int, size: int | None = None) -> Images:
    """Return ``count`` images, given as (name, encoded), as uint8 (N, H, W, C).

    C is 1 if every image is grey; else 3, grey images having three equal channels. Raises
    SourceError naming the file that cannot be read, or two files whose sizes differ; ``size``
    makes all of them squares of that many pixels a side.
    """
    return stacked(_decoded(items, size), count)


def _decoded(items: Iterable[Item], size: int | None) -> Iterator[Decoded]:
    rest = iter(items)
    # The filter is set here, once: warnings.catch_warnings must not run in several threads.
    with warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count()) as pool:
        warnings.simplefilter("ignore")
        while batch := list(islice(rest, BATCH)):
            tasks = [batch[at : at + TASK] for at in range(0, len(batch), TASK)]
            parts = pool.map(lambda task: [decode(name, data, size) for name, data in task], tasks)
            names = (name for name, _ in batch)
            yield from zip(names, chain.from_iterable(parts), strict=True)


def stacked(images: Iterable[Decoded], count: int) -> Images:
    """Return ``count`` images (name, uint8 (H, W, C)) as (N, H, W, C), as ``decode_all`` does."""
    stack: Images = np.empty((0, 0, 0, 1), np.uint8)
    first, done = "", 0
    for name, image in images:
        if done == count:
            raise SourceError(f"{name}: is one image more than there are labels")
        if done == 0:
            first = name
            where = f"{name}: {count:,} images of {_size(image.shape)}"
            stack = room_for((count, *image.shape), where)
        elif image.shape[:2] != stack.shape[1:3]:
            raise another_size(name, image.shape, first, stack.shape[1:])
        if image.shape[2] > stack.shape[3]:
            stack = in_colour(stack, first)
        stack[done] = image if image.shape[2] == stack.shape[3] else three_channels(image)
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


def pixels_of(image: Image.Image) -> NDArray[np.uint8]:
    """Return a picture as uint8 (H, W, C), as ``decode`` says; raises ValueError for others."""
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


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]}"
