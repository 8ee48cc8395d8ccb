"""How many real images, and of what size, fit into the pixels or bytes of a file.

As many full-size images a class as fit. Where not one fits, one image a class at the longest side
that does, reduced with Pillow's LANCZOS filter and brought back with BICUBIC, as a decoder would.
Bytes are those of the whole file, against pixels under zstd level 19 as one block, in (image, row,
column, channel) order, plus one byte a label (two from 257 classes on).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isqrt

import numpy as np
import zstandard
from numpy.typing import NDArray
from PIL import Image

from .draws import ClassImages, Draw

ZSTD_LEVEL = 19

Size = tuple[int, int]
CodedBytes = Callable[[NDArray[np.uint8], int], int]  # (images (N, H, W, C), classes) -> bytes


@dataclass(frozen=True)
class Budget:
    """What fits: ``per_class`` images of each class, stored at ``size`` (height, width)."""

    per_class: int
    size: Size


def same_pixels(pixels: int, by_class: ClassImages) -> Budget:
    """Return what fits into ``pixels`` stored pixels (see the top of this module)."""
    classes = len(by_class)
    height, width = by_class[0].shape[1:3]
    per_class = pixels // (classes * height * width)
    if per_class >= 1:
        return Budget(min(per_class, smallest_class(by_class)), (height, width))
    # floor(sqrt(pixels / classes x height / width)) rows, exactly; columns likewise.
    rows = isqrt(height * pixels // (width * classes))
    columns = isqrt(width * pixels // (height * classes))
    # A side under one pixel is one pixel long; the other one then keeps to the budget by itself.
    rows = max(1, rows if columns else min(rows, pixels // classes))
    return Budget(1, (rows, max(1, min(columns, pixels // classes // rows))))


def same_bytes(
    total: int,
    by_class: ClassImages,
    draw: Draw,
    students: int,
    coded: CodedBytes | None = None,
    most: int | None = None,
) -> Budget:
    """Return the most that fits into ``total`` bytes in the draw of every student.

    That is ``most`` images a class at most, or as many as the smallest class has. ``coded`` says
    how many bytes stored images take; by default that is ``coded_bytes``. The least there is, one
    pixel a class, is returned without a look at its size.
    """
    coded = coded or coded_bytes
    height, width = by_class[0].shape[1:3]
    longest = max(height, width)
    budgets = [
        Budget(1, (max(1, height * side // longest), max(1, width * side // longest)))
        for side in range(1, longest)
    ]
    count = smallest_class(by_class)
    count = count if most is None else min(most, count)
    budgets += [Budget(k, (height, width)) for k in range(1, count + 1)]

    def fits(place: int, student: int = 0) -> bool:
        budget = budgets[place]
        return coded(shrink(draw(budget.per_class, student), budget.size), len(by_class)) <= total

    # Doubling first: a bisection of all budgets would begin with half of the training set.
    low, high = 0, 1
    while high < len(budgets) and fits(high):
        low, high = high, 2 * high
    high = min(high, len(budgets))
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    while low > 0 and not all(fits(low, student) for student in range(students)):
        low -= 1
    return budgets[low]


def shrink(images: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    """Return images (..., H, W, C) as they are stored: uint8 (N, h, w, C) with ``size`` (h, w)."""
    flat = images.reshape(-1, *images.shape[-3:])
    return _resize(flat, size, Image.Resampling.LANCZOS)


def enlarge(images: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    """Return stored images (N, h, w, C) at full size (height, width)."""
    return _resize(images, size, Image.Resampling.BICUBIC)


def coded_bytes(images: NDArray[np.uint8], classes: int) -> int:
    """Return the bytes of images (N, H, W, C) under zstd level 19, and of their labels."""
    coder = zstandard.ZstdCompressor(level=ZSTD_LEVEL)
    pixels = len(coder.compress(np.ascontiguousarray(images).tobytes()))
    return pixels + len(images) * label_bytes(classes)


def label_bytes(classes: int) -> int:
    """Return the bytes of one class index."""
    return 1 if classes <= 256 else 2


def smallest_class(by_class: ClassImages) -> int:
    """Return how many images the class with the fewest has."""
    return min(len(group) for group in by_class)


def _resize(images: NDArray[np.uint8], size: Size, method: Image.Resampling) -> NDArray[np.uint8]:
    if images.shape[1:3] == size:
        return images
    height, width = size
    pictures = (Image.fromarray(x[..., 0] if x.shape[-1] == 1 else x) for x in images)
    resized = [np.asarray(picture.resize((width, height), method)) for picture in pictures]
    return np.stack(resized).reshape(len(images), height, width, images.shape[-1])
