"""8-bit images where they lie: in memory, or read as they are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

AT_ONCE = 1 << 26  # values that are gone through at a time


class Stored(Protocol):
    """Images uint8 (N, H, W, C): an array, or what gives copies of some of them."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, H, W, C)."""

    def __len__(self) -> int:
        """Return N."""

    def __getitem__(self, index: Any, /) -> NDArray[np.uint8]:
        """Return the images at a slice, at int64 (n,) or where bool (N,) is true; or one."""


class Part:
    """Some of stored images, in an order of their own, as ``Stored``; ``places`` int64 (n,)."""

    def __init__(self, images: Stored, places: NDArray[np.int64]) -> None:
        self._images, self._places = images, places
        self.shape = (len(places), *images.shape[1:])

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: Any, /) -> NDArray[np.uint8]:
        return self._images[self._places[index]]


def in_parts(shape: tuple[int, ...], most: int) -> list[slice]:
    """Return slices of the first axis of ``shape``, of at most ``most`` values or one image."""
    step = max(1, most // max(1, prod(shape[1:])))
    return [slice(start, start + step) for start in range(0, shape[0], step)]


def in_bytes(images: Stored) -> Iterator[memoryview]:
    """Yield the bytes of images in their order, part by part."""
    for part in in_parts(images.shape, AT_ONCE):
        yield np.ascontiguousarray(images[part]).data
