"""The training images of one class at a time, for encoders that never need all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .base import Source


class ByClass(Protocol):
    """Training images by class; images are numbered from 0 in every class.

    Attributes:
        shape: (C, H, W) of every image.
        total: images of all classes.
    """

    shape: tuple[int, int, int]
    total: int

    def count(self, label: int) -> int:
        """Return the number of images of a class."""

    def images(self, label: int, index: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the images at ``index`` of a class, uint8 (n, H, W, C)."""

    def digest(self) -> str:
        """Return 64 hex digits that differ where class names or images do."""


class InMemory:
    """The classes of a source whose training split is held in memory."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._images, labels = source.train.images, source.train.labels
        self.shape = (source.channels, source.height, source.width)
        self.total = len(labels)
        order = np.argsort(labels, kind="stable")
        ends = np.cumsum(np.bincount(labels, minlength=len(source.classes)))
        self._places = np.split(order, ends[:-1])

    def count(self, label: int) -> int:
        """Return the number of images of a class."""
        return len(self._places[label])

    def images(self, label: int, index: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the images at ``index`` of a class, uint8 (n, H, W, C)."""
        return self._images[self._places[label][index]]

    def digest(self) -> str:
        """Return the digest of the source: of names, pixels and labels."""
        return self._source.digest()
