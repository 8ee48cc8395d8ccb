"""What is read: a split of images and labels, and images one class at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .on_disk import Images

# What a test split may be called; the first that is there, and a further one is for validation.
TESTS = ("test", "val", "validation", "valid")


@dataclass(frozen=True)
class Split:
    """Images uint8 (N, H, W, C) with C 1 or 3, and labels int64 (N,).

    Images are in memory, or where they are too many in a file that is read as they are asked for.
    """

    images: Images
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


class ByClass(Protocol):
    """Training images by class; images are numbered from 0 in every class."""

    total: int  # images of all classes
    bytes_most: int  # that all of them may have, known before all are looked at

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of every image."""

    def count(self, label: int) -> int:
        """Return the number of images of a class."""

    def images(self, label: int, index: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the images at ``index`` of a class, uint8 (n, H, W, C)."""

    def digest(self) -> str:
        """Return 64 hex digits that differ where class names or images do."""


def places_by_class(labels: NDArray[np.int64], classes: int) -> list[NDArray[np.int64]]:
    """Return where the images of each class lie, in their order."""
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.cumsum(np.bincount(labels, minlength=classes))[:-1])
