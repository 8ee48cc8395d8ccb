"""Images of one class at a time, decoded when they are asked for."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..errors import SourceError
from . import images
from .images import Item, another_size, decode_all
from .scaling import three_channels


class ReadByClass:
    """Classes of which no image is kept in memory (a ``ByClass``).

    Some images are looked at when it is made, and say how large all are. Where these are grey,
    all are looked at up to the first in colour: one makes all of them so.
    """

    def __init__(
        self,
        counts: Sequence[int],
        items: Callable[[int, NDArray[np.int64]], list[Item]],
        first: Sequence[Item],
        every: Callable[[], Iterable[Item]],
        size: int | None,
        facts: Callable[[], Iterable[bytes]],
    ) -> None:
        """Look at the images in ``first``; ``items`` gives those of a class at some indices.

        ``every`` gives all of them, for their headers. The digest is made of ``facts``: to read
        all pixels would take as long as the encode.
        Raises SourceError for a first image that cannot be read or differs in size.
        """
        self._counts, self._items, self._size, self._facts = counts, items, size, facts
        self._every = every
        self.total = sum(counts)
        self._first = first[0][0]
        # Through the same code as all others, so that the same line names what is wrong.
        looked = decode_all(first, len(first), size)
        self._height, self._width, self._channels = map(int, looked.shape[1:])
        # As if in colour: to know better all have to be looked at.
        self.bytes_most = self.total * 3 * self._height * self._width

    @cached_property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of every image."""
        grey = self._channels == 1 and _all_grey(self._every())
        return 1 if grey else 3, self._height, self._width

    def count(self, label: int) -> int:
        return self._counts[label]

    def images(self, label: int, index: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the images at ``index`` of a class, uint8 (n, H, W, C).

        Raises SourceError naming the image that cannot be read or does not fit.
        """
        items = self._items(label, index)
        found = decode_all(items, len(items), self._size)[:]
        channels, height, width = self.shape
        if found.shape[1:3] != (height, width):
            raise another_size(items[0][0], found.shape[1:], self._first, (height, width))
        if found.shape[3] > channels:
            raise SourceError(
                f"{items[0][0]}: this image, or one read with it, has come to be in colour; leave "
                "the images as they are while they are used"
            )
        return found if found.shape[3] == channels else three_channels(found)

    def digest(self) -> str:
        digest = hashlib.sha256()
        for fact in self._facts():
            digest.update(fact)
        return digest.hexdigest()


def _all_grey(items: Iterable[Item]) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as decode_all does
        return all(images.is_grey(name, data) for name, data in items)
