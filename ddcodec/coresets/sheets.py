"""Images as JPEG, WebP and AVIF: what ordinary image files hold in so many bytes.

Images lie side by side on sheets, class after class: header and tables of a file are paid once,
the cheapest that these formats can do. Pillow's defaults hold, 4:2:0 colour included. As many
images a class are stored as fit at the lowest quality of ``FORMATS`` (see ``budgets``), then at the
highest quality that still fits.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .budgets import Budget, label_bytes, same_bytes, shrink
from .draws import ClassImages, Draw

Bytes = NDArray[np.uint8]

SHEET_SIDE = 4096  # pixels at most, so that no format's limit is met
HIGHEST = 95  # Pillow's advice for JPEG; nothing is seen to gain above it


@dataclass(frozen=True)
class ImageFormat:
    """A format, its lowest quality here, and the settings it is saved with."""

    name: str
    lowest: int
    settings: tuple[tuple[str, Any], ...] = ()


# Many coarse images teach more than a few fine ones. On held-out training images, among 5 to 70,
# digits (700 to 4,000 bytes) wanted 5 to 30, CIFAR-10 (6,000 and 25,000 bytes) 5 to 10.
FORMATS = (
    ImageFormat("JPEG", 10, (("optimize", True),)),
    ImageFormat("WebP", 5, (("method", 6),)),
    # One thread: the same bytes on every machine.
    ImageFormat("AVIF", 10, (("max_threads", 1),)),
)


# Ten times as fast, and its lowest quality holds a few images more: where seconds count.
FAST = ImageFormat("AVIF", 10, (("max_threads", 1), ("speed", 10)))


def fast_format() -> ImageFormat:
    """Return a format that holds many images and takes little time: JPEG without AVIF."""
    return FAST if can_write(FAST.name) else image_format("JPEG")


@cache
def can_write(name: str) -> bool:
    """Say whether this Pillow writes and reads the format; AVIF and WebP are optional parts."""
    Image.init()
    if name.upper() not in Image.SAVE or name.upper() not in Image.OPEN:
        return False
    try:
        written = write_sheets(np.zeros((1, 8, 8, 3), np.uint8), image_format(name), 50)
        read_sheets(written, (1, 8, 8, 3))
    except (OSError, ValueError, KeyError):  # a build with the name but without the coder
        return False
    return True


def image_format(name: str) -> ImageFormat:
    """Return the format called ``name``."""
    return next(kind for kind in FORMATS if kind.name == name)


def images_that_fit(
    total: int,
    by_class: ClassImages,
    draw: Draw,
    students: int,
    kind: ImageFormat,
    most: int | None = None,
) -> Budget | None:
    """Return the most images that fit into ``total`` bytes with labels in the draw of each student.

    They are as coarse as ``kind`` allows, and ``most`` of each class at most. None where not one
    pixel a class fits.
    """

    def least(images: Bytes, classes: int) -> int:
        return stored_bytes(images, classes, kind, kind.lowest)

    budget = same_bytes(total, by_class, draw, students, least, most)
    if budget.per_class > 1 or max(budget.size) > 1:
        return budget
    # The least there is, which nobody looked at.
    one_pixel = (shrink(draw(1, student), budget.size) for student in range(students))
    return budget if all(least(x, len(by_class)) <= total for x in one_pixel) else None


def at_best(images: Bytes, classes: int, kind: ImageFormat, total: int) -> tuple[Bytes, int, int]:
    """Return images (N, H, W, C) as they come back from files within ``total`` bytes.

    Also the bytes they take with their labels, and their quality, the highest that fits.
    """
    quality = highest_quality(images, classes, kind, total)
    files = write_sheets(images, kind, quality)
    return read_sheets(files, images.shape), _with_labels(files, images, classes), quality


def highest_quality(images: Bytes, classes: int, kind: ImageFormat, total: int) -> int:
    """Return a quality at which images (N, H, W, C) fit into ``total`` bytes, by bisection.

    It is the highest where size grows with quality, as it all but always does. The lowest is
    returned without a look.
    """
    low, high = kind.lowest, HIGHEST + 1
    while high - low > 1:
        middle = (low + high) // 2
        fits = stored_bytes(images, classes, kind, middle) <= total
        low, high = (middle, high) if fits else (low, middle)
    return low


def stored_bytes(images: Bytes, classes: int, kind: ImageFormat, quality: int) -> int:
    """Return the bytes of images (N, H, W, C) in sheets of this quality, and of their labels."""
    return _with_labels(write_sheets(images, kind, quality), images, classes)


def _with_labels(files: list[bytes], images: Bytes, classes: int) -> int:
    return sum(map(len, files)) + len(images) * label_bytes(classes)


def write_sheets(images: Bytes, kind: ImageFormat, quality: int) -> list[bytes]:
    """Return images (N, H, W, C), C 1 or 3, as image files of several images each."""
    files = []
    _, height, width, channels = images.shape
    grey = channels == 1
    for start, stop, columns, rows in layout(images.shape):
        # An empty place repeats the last image rather than adding an edge to code.
        sheet = images[np.minimum(np.arange(start, start + rows * columns), stop - 1)]
        grid = sheet.reshape(rows, columns, height, width, channels).swapaxes(1, 2)
        picture = grid.reshape(rows * height, columns * width, channels)
        data = io.BytesIO()
        settings = dict(kind.settings)
        if grey and kind.name == "AVIF":
            settings["subsampling"] = "4:0:0"
        Image.fromarray(picture[..., 0] if grey else picture).save(
            data, kind.name.upper(), quality=quality, **settings
        )
        files.append(data.getvalue())
    return files


def read_sheets(files: list[bytes], shape: tuple[int, ...]) -> Bytes:
    """Return the images of ``write_sheets`` as they come back, uint8 of ``shape`` (N, H, W, C)."""
    count, height, width, channels = shape
    images = np.empty((count, height, width, channels), np.uint8)
    for data, (start, stop, columns, rows) in zip(files, layout(shape), strict=True):
        with Image.open(io.BytesIO(data)) as picture:
            pixels = np.asarray(picture.convert("L" if channels == 1 else "RGB"))
        grid = pixels.reshape(rows, height, columns, width, channels).swapaxes(1, 2)
        images[start:stop] = grid.reshape(-1, height, width, channels)[: stop - start]
    return images


def layout(shape: tuple[int, ...]) -> Iterator[tuple[int, int, int, int]]:
    """Give (first image, one past the last, columns, rows) of every sheet, as square as it goes."""
    count, height, width, _ = shape
    across, down = max(1, SHEET_SIDE // width), max(1, SHEET_SIDE // height)
    for start in range(0, count, across * down):
        stop = min(count, start + across * down)
        held = stop - start
        # Square in pixels: columns x width is about rows x height.
        columns = min(across, max(1, round((held * height / width) ** 0.5)))
        columns = max(columns, -(-held // down))
        yield start, stop, columns, -(-held // columns)
