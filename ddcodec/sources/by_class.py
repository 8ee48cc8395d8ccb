"""Images of one class at a time from where they lie: data sets larger than memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import SourceError
from .images import Item, another_size, decode, decode_all


class ReadByClass:
    """Classes of which no image is kept in memory (a ``ByClass``).

    Some images are looked at when it is made, and say how large all are. Images are grey where
    these are all grey, else in colour.
    """

    def __init__(
        self,
        counts: Sequence[int],
        items: Callable[[int, NDArray[np.int64]], list[Item]],
        first: Sequence[Item],
        size: int | None,
        facts: Callable[[], Iterable[bytes]],
    ) -> None:
        """Look at the first images.

        Args:
            counts: images of every class.
            items: encoded images of a class at some indices.
            first: the images to look at.
            size: side that images are scaled to, if any.
            facts: what the digest is made of. To read all pixels would take as long as the encode.

        Raises SourceError for a first image that cannot be read or differs in size.
        """
        self._counts, self._items, self._size, self._facts = counts, items, size, facts
        self.total = sum(counts)
        self._first = first[0][0]
        # Through the same code as all others, so that the same line names what is wrong.
        looked = decode_all(first, len(first), size)
        self.shape = (int(looked.shape[3]), int(looked.shape[1]), int(looked.shape[2]))
        self._grey = f"{self._first} is" if len(first) == 1 else "the first of every class are"

    def count(self, label: int) -> int:
        return self._counts[label]

    def images(self, label: int, index: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the images at ``index`` of a class, uint8 (n, H, W, C).

        Raises SourceError naming the image that cannot be read or does not fit.
        """
        items = self._items(label, index)
        found = decode_all(items, len(items), self._size)
        channels, height, width = self.shape
        if found.shape[1:3] != (height, width):
            raise another_size(items[0][0], found.shape[1:], self._first, (height, width))
        if found.shape[3] > channels:
            coloured = (n for n, data in items if decode(n, data, self._size).shape[2] > channels)
            raise SourceError(
                f"{next(coloured)}: is in colour, {self._grey} grey; put one in colour first, or "
                "make all grey"
            )
        return np.repeat(found, 3, axis=3) if found.shape[3] < channels else found

    def digest(self) -> str:
        digest = hashlib.sha256()
        for fact in self._facts():
            digest.update(fact)
        return digest.hexdigest()
