"""A data set as the encoders see it: uint8 images, integer labels, class names, two splits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..errors import SourceError


@dataclass(frozen=True)
class Split:
    """Images uint8 (N, H, W, C) with C 1 or 3, and labels int64 (N,)."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


class Source:
    """A named data set. Each split is read on first use and kept.

    Args:
        name: as shown to people and recorded in files; never a path.
        classes: names in label order.
        splits: how to read ``train`` and, where there is one, ``test``.
    """

    def __init__(
        self, name: str, classes: tuple[str, ...], splits: dict[str, Callable[[], Split]]
    ) -> None:
        self.name = name
        self.classes = classes
        self._splits = splits

    @cached_property
    def train(self) -> Split:
        """The training split; every class has at least one image."""
        split = self._read("train")
        counts = np.bincount(split.labels, minlength=len(self.classes))
        if (counts == 0).any():
            empty = self.classes[int(np.argmin(counts))]
            raise SourceError(f"{self.name}: class '{empty}' has no training image; add some")
        return split

    @cached_property
    def test(self) -> Split | None:
        """The test split, or None where the source has none."""
        if "test" not in self._splits:
            return None
        split = self._read("test")
        if "train" in self.__dict__ and split.images.shape[1:] != self.train.images.shape[1:]:
            raise SourceError(
                f"{self.name}: test images are {_shape(split.images.shape[1:])}, "
                f"training images {_shape(self.train.images.shape[1:])}; make them alike"
            )
        return split

    def require_test(self) -> Split:
        """Return the test split; raises SourceError where the source has none."""
        test = self.test
        if test is None:
            raise SourceError(
                f"{self.name}: has no test split; add a test folder, test-*.parquet files, or "
                "test_images and test_labels"
            )
        return test

    @property
    def height(self) -> int:
        """Pixels."""
        return self.train.images.shape[1]

    @property
    def width(self) -> int:
        """Pixels."""
        return self.train.images.shape[2]

    @property
    def channels(self) -> int:
        """1 or 3."""
        return self.train.images.shape[3]

    def digest(self) -> str:
        """Return the SHA-256 of class names, training images and labels, as hex."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        h = hashlib.sha256()
        for name in self.classes:
            h.update(name.encode("utf-8") + b"\0")
        h.update(repr(self.train.images.shape).encode())
        h.update(np.ascontiguousarray(self.train.images))
        h.update(self.train.labels.astype("<i8").tobytes())
        return h.hexdigest()

    def _read(self, name: str) -> Split:
        if name not in self._splits:
            raise SourceError(f"{self.name}: has no {name} split")
        split = self._splits[name]()
        check_split(split, len(self.classes), f"{self.name} ({name})")
        return split


def check_split(split: Split, classes: int, where: str) -> None:
    """Raise SourceError unless images and labels have the promised form."""
    images, labels = split.images, split.labels
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3):
        raise SourceError(
            f"{where}: images are {images.dtype} {_shape(images.shape)}; "
            "they must be uint8 (N, H, W, C) with 1 or 3 channels"
        )
    if labels.shape != (len(images),):
        raise SourceError(f"{where}: {len(images)} images but labels of shape {labels.shape}")
    if len(labels) == 0:
        raise SourceError(f"{where}: has no images")
    if labels.min() < 0 or labels.max() >= classes:
        raise SourceError(f"{where}: a label lies outside 0..{classes - 1}")


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
