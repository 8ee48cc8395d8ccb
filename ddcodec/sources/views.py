"""A source seen another way: a share of it held out as a test split, or its classes reordered."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from ..preprocessing.stored import AT_ONCE, in_parts
from .base import Source
from .on_disk import only, room_for
from .spelling import plain
from .split import ByClass, Split, places_by_class


def hold_out(source: Source, share: float) -> Source:
    """Return the source with ``share`` of the training images of every class as its test split.

    Which images these are follows from their places in their class alone, so it is the same on
    every machine, and a larger share contains a smaller one. A class of one image keeps it. Raises
    UsageError where there is a test split already.
    """
    if "test" in source.splits:
        there = f" ({source.tested_on})" if source.tested_on else ""
        raise UsageError(
            f"{source.where}: has a test split{there}; `test_share` is for a source without one"
        )

    classes = range(len(source.classes))

    @cache
    def parts() -> tuple[Split, Split]:
        whole = source.train
        held = np.zeros(len(whole), bool)
        for label, places in enumerate(places_by_class(whole.labels, len(classes))):
            held[places] = drawn(label, len(places), share)
        del source.train  # the two parts hold all of it
        return _only(whole, ~held), _only(whole, held)

    def test() -> Split:
        pool = source.streamed()
        if pool is None:
            return parts()[1]
        held = [np.flatnonzero(drawn(label, pool.count(label), share)) for label in classes]
        labels = np.repeat(np.arange(len(held)), [len(places) for places in held])
        channels, height, width = pool.shape
        shape = height, width, channels
        images = room_for((len(labels), *shape), f"{source.where} (test)")
        done = 0
        for label, places in enumerate(held):
            for part in in_parts((len(places), *shape), AT_ONCE):
                found = pool.images(label, places[part])
                images[done : done + len(found)] = found
                done += len(found)
        return Split(images, labels)

    def by_class() -> ByClass | None:
        pool = source.streamed()
        return None if pool is None else _Kept(pool, len(classes), share)

    splits = {"train": lambda: parts()[0], "test": test}
    if "validation" in source.splits:
        splits["validation"] = lambda: _there(source.validation)
    on = f"{share:.4g} of the training images, held out"
    return Source(
        *(source.name, source.classes, splits, source.where, by_class, None),
        *(on, source.passed, source.notes),
    )


def drawn(label: int, count: int, share: float) -> NDArray[np.bool_]:
    """Return which of the ``count`` images of a class are held out, as truths (count,)."""
    # A hash is the same in every version of every library; a generator's stream may not be.
    marks = [hashlib.sha256(b"ddcodec test %d %d" % (label, i)).digest() for i in range(count)]
    first = sorted(range(count), key=marks.__getitem__)
    held = np.zeros(count, bool)
    held[first[: min(max(1, int(share * count + 0.5)), count - 1)]] = True
    return held


class _Kept:
    """The classes of a source without the images that are held out (a ``ByClass``)."""

    def __init__(self, pool: ByClass, classes: int, share: float) -> None:
        held = (drawn(label, pool.count(label), share) for label in range(classes))
        self._pool, self._share = pool, share
        self._places = [np.flatnonzero(~each) for each in held]
        self.shape, self.bytes_most = pool.shape, pool.bytes_most
        self.total = sum(map(len, self._places))

    def count(self, label: int) -> int:
        return len(self._places[label])

    def images(self, label: int, index: NDArray[np.int64]) -> NDArray[np.uint8]:
        return self._pool.images(label, self._places[label][index])

    def digest(self) -> str:
        """Return 64 hex digits that differ where share or images do."""
        return hashlib.sha256(f"{self._pool.digest()} {self._share!r}".encode()).hexdigest()


def in_order(source: Source, classes: Sequence[str]) -> Source:
    """Return the source with its classes in the order of ``classes``, where they are the same.

    A source with other classes comes back as it is.
    """
    wanted = tuple(map(plain, classes))
    if source.classes == wanted or sorted(source.classes) != sorted(wanted):
        return source
    number = {name: label for label, name in enumerate(wanted)}
    labels = np.asarray([number[name] for name in source.classes], np.int64)

    def reading(name: str) -> Callable[[], Split]:
        def read() -> Split:
            split = _there(getattr(source, name))
            return Split(split.images, labels[split.labels])

        return read

    def by_class() -> ByClass | None:
        pool = source.streamed()
        return None if pool is None else _Reordered(pool, np.argsort(labels))

    splits = {name: reading(name) for name in source.splits}
    return Source(source.name, wanted, splits, source.where, by_class)


class _Reordered:
    """The classes of a source in another order (a ``ByClass``)."""

    def __init__(self, pool: ByClass, label: NDArray[np.int64]) -> None:
        self._pool, self._label = pool, label.tolist()
        self.shape, self.total, self.digest = pool.shape, pool.total, pool.digest
        self.bytes_most = pool.bytes_most

    def count(self, label: int) -> int:
        return self._pool.count(self._label[label])

    def images(self, label: int, index: NDArray[np.int64]) -> NDArray[np.uint8]:
        return self._pool.images(self._label[label], index)


def _only(split: Split, kept: NDArray[np.bool_]) -> Split:
    return Split(only(split.images, kept), split.labels[kept])


def _there(split: Split | None) -> Split:
    assert split is not None  # its name is among the splits
    return split
