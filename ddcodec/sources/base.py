"""A data set as the encoders see it: uint8 images, integer labels, class names, two splits.

Images are in memory, or where they are too many in a file that is read as they are asked for.

``ByClass`` is its training images one class at a time, for encoders that never need all of them.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SourceError
from ..preprocessing.stored import in_bytes
from ..runtime.names import utf8
from .checks import check_complete, check_names, check_split, one_line_errors, shape_text
from .on_disk import HELD_BYTES, Images
from .scaling import in_colour, resize_all, to_grey
from .spelling import plain
from .split import ByClass, Split, places_by_class

DARK = 32  # of 255; images without a larger value are made of few levels
LOOKED_AT = 1000  # images


class Source:
    """A named data set. Each split is read on first use and kept.

    Args:
        name: as shown to people and recorded in files; never a path with folders.
        classes: names in label order, distinct and not empty; kept in one normal form (``plain``).
        splits: how to read ``train`` and, where there are such, ``test`` and ``validation``.
        where: the path that messages name; by default ``name``.
        by_class: how to read one class at a time; without it the whole split is read.
        size: pixels a side to which images are scaled (``resize``); None leaves them as read.
        tested_on: what serves as ``test``, in words, where that is not clear from the name.
        passed: files that were not read, counted by reason, which reading a split adds to.
        notes: what else is to be said of the training images, once they are read.

    Attributes:
        say: told in a line what was read and what was passed over, once for each split.
        asked: ``size`` and ``test_share`` as they were asked of ``load``; files record them.
    """

    def __init__(
        self,
        name: str,
        classes: tuple[str, ...],
        splits: Mapping[str, Callable[[], Split]],
        where: str | os.PathLike[str] | None = None,
        by_class: Callable[[], ByClass | None] | None = None,
        size: int | None = None,
        tested_on: str = "",
        passed: Counter[str] | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        self.name = utf8(name)
        self.classes = tuple(map(plain, classes))
        self.where = name if where is None else os.fspath(where)
        self.say: Callable[[str], None] = _silent
        self.asked: dict[str, Any] = {}
        self.tested_on = tested_on
        self.passed = passed
        self.notes = notes
        self._splits = splits
        self._by_class = by_class
        self._size = size
        self._said_read = False
        check_names(self.where, self.name, self.classes)

    @cached_property
    def train(self) -> Split:
        """The training split; every class has at least one image."""
        split = self._read("train")
        check_complete(split.labels, self.classes, self.where)
        for other in ("test", "validation"):
            if self.__dict__.get(other) is not None:
                self.__dict__[other] = self._alike(split, other, self.__dict__[other])
        shape = split.images.shape
        self._say_read(len(split), (shape[3], *shape[1:3]), _brightest(split.images))
        return split

    @cached_property
    def test(self) -> Split | None:
        """The test split, or None where the source has none; some classes may have no image."""
        split = self._beside("test")
        if split is not None:
            there = set(split.labels.tolist())
            lacking = [name for i, name in enumerate(self.classes) if i not in there]
            if lacking or (self.passed and self.passed.total()):
                on = f" ({self.tested_on})" if self.tested_on else ""
                less = (
                    f"; none of {len(lacking)} of {len(self.classes)} classes "
                    f"({_listed(lacking)}), so an accuracy is that on the others"
                )
                self._say(f"test{on}: {_images(len(split))}{less if lacking else ''}")
        return split

    @cached_property
    def validation(self) -> Split | None:
        """Labelled images beside train and test, or None; nothing here trains or tests on them."""
        return self._beside("validation")

    @property
    def splits(self) -> frozenset[str]:
        """Names of the splits that there are; one may still turn out to be unreadable."""
        return frozenset(self._splits)

    def by_class(self) -> ByClass:
        """Return the training images by class; a large source is then not held in memory."""
        pool = self.streamed()
        if pool is None:
            return InMemory(self)
        self._say_read(pool.total, pool.shape)
        return pool

    def streamed(self) -> ByClass | None:
        """Return what reads one class at a time, or None where all are, or can only be, held."""
        if self._by_class is None:
            return None
        with one_line_errors(self.where):
            pool = self._by_class()
        # What fits is read as everywhere else, so that its digest is that of its pixels.
        if pool is None or pool.bytes_most <= HELD_BYTES:
            return None
        return pool if pool.total * prod(pool.shape) > HELD_BYTES else None

    def require_test(self) -> Split:
        """Return the test split; raises SourceError where the source has none."""
        test = self.test
        if test is None:
            raise SourceError(
                f"{self.where}: has no test split; hold out a fifth of the training images with "
                "`test_share`=0.2, or add a test folder, test-*.parquet files, or the arrays "
                "test_images and test_labels"
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

    def is_that_of(self, digest: str) -> bool:
        """Say whether ``digest``, or what it begins with, is that of the training images.

        What is read class by class has two: of names and sizes of its files, and of all pixels.
        """
        return self.by_class().digest().startswith(digest) or self.digest().startswith(digest)

    def _say(self, line: str) -> None:
        if self.say is _silent:
            return
        passed = self.passed
        if passed is not None:
            counts = ", ".join(
                f"{count:,} {reason}" for reason, count in passed.most_common() if count
            )
            total = passed.total()
            files = "file" if total == 1 else "files"
            line += f"; passed over {total:,} {files}: {counts}" if total else ""
            passed.clear()
        self.say(f"{self.where}: {line}")

    def _say_read(self, count: int, shape: tuple[int, ...], brightest: int = 255) -> None:
        """Say once what there is to train on, images (C, H, W), and on what to test."""
        if self._said_read:
            return
        self._said_read = True
        channels, height, width = shape
        classes = "1 class" if len(self.classes) == 1 else f"{len(self.classes):,} classes"
        colour = "grey" if channels == 1 else "colour"
        line = f"read {_images(count)} of {classes} ({width}x{height}, {colour})"
        line += "".join(f"; {note}" for note in self.notes)
        if brightest < DARK:
            # As of 12 bits in a file of 16.
            line += f"; nearly black, with no value above {brightest} of 255: scale them up"
        if "test" not in self._splits:
            line += "; no test split"
        elif self.tested_on:
            line += f"; test: {self.tested_on}"
        if self.passed is not None and not self.passed.total():
            line += "; passed over nothing"
        self._say(line)

    def _beside(self, name: str) -> Split | None:
        if name not in self._splits:
            return None
        split, train = self._read(name), self.__dict__.get("train")
        return split if train is None else self._alike(train, name, split)

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

    def _alike(self, train: Split, name: str, split: Split) -> Split:
        """Return a split with the channels of ``train``; raises SourceError for another size."""
        ours, theirs = train.images.shape[1:], split.images.shape[1:]
        if ours[:2] != theirs[:2]:
            raise SourceError(
                f"{self.where}: {name} images are {shape_text(theirs)}, training images "
                f"{shape_text(ours)} (height x width x channels); make them alike, as `size` does"
            )
        if ours == theirs:
            return split
        where = f"{self.where} ({name})"
        if ours[2] == 3:
            return Split(in_colour(split.images, where), split.labels)
        # The training images decide: what learned from grey has never seen a colour.
        self._say(f"{name}: in colour, made grey as the training images are")
        return Split(to_grey(split.images, where), split.labels)


class InMemory:
    """The classes of a source whose training split is held in memory (a ``ByClass``)."""

    def __init__(self, source: Source) -> None:
        self._images, labels = source.train.images, source.train.labels
        self.shape = (source.channels, source.height, source.width)
        self.total, self.bytes_most = len(labels), prod(self._images.shape)
        self.digest = source.digest
        self._places = places_by_class(labels, len(source.classes))

    def count(self, label: int) -> int:
        return len(self._places[label])

    def images(self, label: int, index: NDArray[np.int64]) -> NDArray[np.uint8]:
        return self._images[self._places[label][index]]


def _brightest(images: Images) -> int:
    """Return the largest value of images, of some where there are many."""
    return int(images[:: -(-len(images) // LOOKED_AT)].max())


def _silent(line: str) -> None:
    pass


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count:,} images"


def _listed(names: Sequence[str]) -> str:
    return ", ".join([*names[:3], *(["..."] if len(names) > 3 else [])])
