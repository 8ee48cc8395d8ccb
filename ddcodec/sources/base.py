"""A data set as the encoders see it: uint8 images, integer labels, class names, two splits.

Images are in memory, or where they are too many in a file that is read as they are asked for.

``ByClass`` is its training images one class at a time, for encoders that never need all of them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import SourceError, one_line
from ..format.values import is_text, shown
from ..preprocessing.stored import in_bytes
from .on_disk import HELD_BYTES, Images, remade

TESTS = ("test", "val", "validation", "valid")  # what a test split may be called; first to last


@dataclass(frozen=True)
class Split:
    """Images uint8 (N, H, W, C) with C 1 or 3, and labels int64 (N,)."""

    images: Images
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


class ByClass(Protocol):
    """Training images by class; images are numbered from 0 in every class."""

    shape: tuple[int, int, int]  # (C, H, W) of every image
    total: int  # images of all classes

    def count(self, label: int) -> int:
        """Return the number of images of a class."""

    def images(self, label: int, index: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the images at ``index`` of a class, uint8 (n, H, W, C)."""

    def digest(self) -> str:
        """Return 64 hex digits that differ where class names or images do."""


class Source:
    """A named data set. Each split is read on first use and kept.

    Args:
        name: as shown to people and recorded in files; never a path with folders.
        classes: names in label order, distinct and not empty.
        splits: how to read ``train`` and, where there is one, ``test``.
        where: the path that messages name; by default ``name``.
        by_class: how to read one class at a time; without it the whole split is read.
        size: pixels a side to which images are scaled (``resize``); None leaves them as read.
    """

    def __init__(
        self,
        name: str,
        classes: tuple[str, ...],
        splits: Mapping[str, Callable[[], Split]],
        where: str | os.PathLike[str] | None = None,
        by_class: Callable[[], ByClass] | None = None,
        size: int | None = None,
    ) -> None:
        self.name = name
        self.classes = classes
        self.where = name if where is None else os.fspath(where)
        self._splits = splits
        self._by_class = by_class
        self._size = size
        _check_names(self.where, name, classes)

    @cached_property
    def train(self) -> Split:
        """The training split; every class has at least one image."""
        split = self._read("train")
        check_complete(split.labels, self.classes, self.where)
        self._check_alike(split, self.__dict__.get("test"))
        return split

    @cached_property
    def test(self) -> Split | None:
        """The test split, or None where the source has none."""
        if "test" not in self._splits:
            return None
        split = self._read("test")
        self._check_alike(self.__dict__.get("train"), split)
        return split

    def by_class(self) -> ByClass:
        """Return the training images by class; a large source is then not held in memory."""
        if self._by_class is not None:
            with one_line_errors(self.where):
                pool = self._by_class()
            # What fits is read as everywhere else, so that its digest is that of its pixels.
            if pool.total * prod(pool.shape) > HELD_BYTES:
                return pool
        return InMemory(self)

    def require_test(self) -> Split:
        """Return the test split; raises SourceError where the source has none."""
        test = self.test
        if test is None:
            raise SourceError(
                f"{self.where}: has no test split; add a test folder, test-*.parquet files, or "
                "the arrays test_images and test_labels"
            )
        return test

    @property
    def height(self) -> int:
        return int(self.train.images.shape[1])

    @property
    def width(self) -> int:
        return int(self.train.images.shape[2])

    @property
    def channels(self) -> int:
        """1 or 3."""
        return int(self.train.images.shape[3])

    def digest(self) -> str:
        """Return the SHA-256 of class names, training images and labels, as hex."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        h = hashlib.sha256()
        for name in self.classes:
            h.update(name.encode("utf-8") + b"\0")
        h.update(repr(self.train.images.shape).encode())
        for pixels in in_bytes(self.train.images):
            h.update(pixels)
        h.update(self.train.labels.astype("<i8").tobytes())
        return h.hexdigest()

    def _read(self, name: str) -> Split:
        where = f"{self.where} ({name})"
        try:
            with one_line_errors(where):
                split = self._splits[name]()
            check_split(split, len(self.classes), where)
            if self._size is None or split.images.shape[1:3] == (self._size, self._size):
                return split
            return Split(resize_all(split.images, self._size, where), split.labels)
        except MemoryError:
            raise SourceError(f"{where}: is larger than the memory; use fewer images") from None

    def _check_alike(self, train: Split | None, test: Split | None) -> None:
        if train is None or test is None:
            return
        ours, theirs = train.images.shape[1:], test.images.shape[1:]
        if ours != theirs:
            raise SourceError(
                f"{self.where}: test images are {shape_text(theirs)}, training images "
                f"{shape_text(ours)} (height x width x channels); make them alike"
            )


class InMemory:
    """The classes of a source whose training split is held in memory (a ``ByClass``)."""

    def __init__(self, source: Source) -> None:
        self._images, labels = source.train.images, source.train.labels
        self.shape = (source.channels, source.height, source.width)
        self.total = len(labels)
        self.digest = source.digest
        self._places = places_by_class(labels, len(source.classes))

    def count(self, label: int) -> int:
        return len(self._places[label])

    def images(self, label: int, index: NDArray[np.int64]) -> NDArray[np.uint8]:
        return self._images[self._places[label][index]]


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


def resize_all(images: Images, size: int, where: str) -> Images:
    """Return images (N, H, W, C) as (N, size, size, C), each as ``resize`` makes it."""
    shape = len(images), size, size, images.shape[3]
    return remade(
        images,
        shape,
        lambda part: np.stack([resize(image, size) for image in part]),
        f"{where}: {shape_text(shape)}",
    )


def places_by_class(labels: NDArray[np.int64], classes: int) -> list[NDArray[np.int64]]:
    """Return where the images of each class lie, in their order."""
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.cumsum(np.bincount(labels, minlength=classes))[:-1])


@contextmanager
def one_line_errors(where: str) -> Iterator[None]:
    """Turn an error of the system in the body into a SourceError that begins with ``where``."""
    try:
        yield
    except OSError as error:
        inside = f" ({error.filename})" if str(error.filename or where) not in where else ""
        raise SourceError(f"{where}: cannot be read: {one_line(error)}{inside}") from None


def check_split(split: Split, classes: int, where: str) -> None:
    """Raise SourceError, beginning with ``where``, unless the arrays keep their promise."""
    images, labels = split.images, split.labels
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3):
        raise SourceError(
            f"{where}: images are {images.dtype} {shape_text(images.shape)}; "
            "they must be uint8 (N, H, W, C) with 1 or 3 channels"
        )
    if len(images) == 0:
        raise SourceError(f"{where}: has no images")
    if 0 in images.shape:
        raise SourceError(f"{where}: images of {shape_text(images.shape[1:])} hold no pixel")
    if labels.shape != (len(images),):
        raise SourceError(
            f"{where}: {len(images)} images but labels of shape {shape_text(labels.shape)}; "
            "give one label an image"
        )
    check_labels(labels, classes, where)


def check_labels(labels: NDArray[np.int64], classes: int, where: str) -> None:
    """Raise SourceError, beginning with ``where``, for a label that is no class."""
    outside = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(outside):
        at = int(outside[0])
        raise SourceError(
            f"{where}: label {labels[at]} of image {at} lies outside 0..{classes - 1}, "
            "the numbers of the classes"
        )


def check_complete(labels: NDArray[np.int64], classes: Sequence[str], where: str) -> None:
    """Raise SourceError, beginning with ``where``, for a class without images."""
    counts = np.bincount(labels, minlength=len(classes))
    if (counts == 0).any():
        empty = classes[int(np.argmin(counts))]
        raise SourceError(f"{where}: class '{empty}' has no training image; add some")


def numbered_classes(labels: NDArray[Any], where: str) -> tuple[str, ...]:
    """Return "0", "1", ... up to the largest label, for a source that names no classes.

    Raises SourceError where some of these classes could have no image.
    """
    low, top = (int(labels.min()), int(labels.max())) if len(labels) else (0, -1)
    if top < 0 or low < 0:
        problem = f"holds the label {low}" if low < 0 else "has no images"
        raise SourceError(f"{where}: {problem}; number the classes 0, 1, 2, ...")
    if top >= len(labels):
        raise SourceError(
            f"{where}: holds the label {top} but only {len(labels)} images, so a class has none; "
            "number the classes 0, 1, 2, ..."
        )
    return tuple(str(i) for i in range(top + 1))


def require_memory(size: int, where: str) -> None:
    """Raise SourceError, beginning with ``where``, if ``size`` bytes exceed the machine's memory.

    An operating system may promise such memory and kill the process when it is used.
    """
    there = 0
    with suppress(AttributeError, ValueError, OSError):  # not every system tells
        there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if size > there > 0:
        raise SourceError(
            f"{where}: needs {size / 2**30:,.1f} GiB of memory, this machine has "
            f"{there / 2**30:,.1f}; use fewer or smaller images"
        )


def path_name(path: Path) -> str:
    """Return the last part of a path, also of ``.`` and ``..``; links are not followed."""
    return Path(os.path.abspath(path)).name or "root"  # noqa: PTH100 (resolve follows links)


def shape_text(shape: tuple[int, ...]) -> str:
    """Return a shape for people, as in 10x8x8."""
    return "x".join(map(str, shape)) or "()"


def _check_names(where: str, source: str, classes: tuple[str, ...]) -> None:
    for name in (source, *classes):
        try:
            name.encode("utf-8")
        except UnicodeEncodeError:
            raise SourceError(f"{where!r}: the name {name!r} is not UTF-8; rename it") from None
        # A file could not hold it; better said now than after the work.
        if name and not is_text(name):
            raise SourceError(
                f"{where[:300]!r}: the name {shown(name)} has more than 200 characters, or "
                "characters that do not show; rename it"
            )
    if "" in classes:
        raise SourceError(f"{where}: class {classes.index('')} has an empty name; give it one")
    if len(set(classes)) != len(classes):
        twice = next(name for i, name in enumerate(classes) if name in classes[:i])
        raise SourceError(f"{where}: two classes are named '{twice}'; rename one")
