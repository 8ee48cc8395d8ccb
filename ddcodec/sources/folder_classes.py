"""Images in one folder a class, read when they are asked for: data sets larger than memory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import SourceError
from .images import Encoded, decode, decode_all


class FolderClasses:
    """The classes of an ImageFolder of which nothing is kept in memory (a ``ByClass``).

    The first image of every class is looked at when it is made: they must be of one size. Images
    are grey where these are all grey, else in colour.
    """

    def __init__(
        self, root: Path, classes: Sequence[str], files: list[list[Path]], size: int | None
    ) -> None:
        """Take the files of every class, in a fixed order, none without files.

        Raises SourceError for an image that cannot be read, or of another size.
        """
        self._root, self._classes, self._files, self._size = root, classes, files, size
        self.total = sum(map(len, files))
        first = [(str(found[0]), found[0]) for found in files]
        # Through the same code as all others, so that the same line names what is wrong.
        peeked = decode_all(first, len(first), size)
        self.shape = (int(peeked.shape[3]), int(peeked.shape[1]), int(peeked.shape[2]))
        self._first = str(files[0][0])

    def count(self, label: int) -> int:
        """Return the number of images of a class."""
        return len(self._files[label])

    def images(self, label: int, index: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the images at ``index`` of a class, uint8 (n, H, W, C).

        Raises SourceError naming the file that cannot be read or does not fit.
        """
        files = [self._files[label][i] for i in index.tolist()]
        items = [(str(file), file) for file in files]
        found = decode_all(items, len(items), self._size)
        said = "the first image of every class"
        return fitted(found, items, self._size, self.shape, self._first, said)

    def digest(self) -> str:
        """Return a digest of class names, the names and the sizes of all files.

        To read all pixels would take as long as the encode itself.
        """
        h = hashlib.sha256()
        for name, files in zip(self._classes, self._files, strict=True):
            h.update(name.encode() + b"\0")
            for file in files:
                h.update(os.fsencode(file.relative_to(self._root).as_posix()) + b"\0")
                h.update(b"%d\0" % file.stat().st_size)
        return h.hexdigest()


def fitted(
    found: NDArray[np.uint8],
    items: Sequence[tuple[str, Encoded]],
    size: int | None,
    shape: tuple[int, int, int],
    first: str,
    first_ones: str,
) -> NDArray[np.uint8]:
    """Return images (n, H, W, C) in colour where others are.

    Args:
        found: as they were decoded from ``items`` (name, encoded) with ``size``.
        shape: (C, H, W) that was promised; first: what promised it, and ``first_ones``, in words.

    Raises SourceError naming the image that does not fit.
    """
    channels, height, width = shape
    if found.shape[1:3] != (height, width):
        raise SourceError(
            f"{items[0][0]}: is {found.shape[2]}x{found.shape[1]}, but {first} is "
            f"{width}x{height} (width x height); resize all images to one size, as --size N "
            "does"
        )
    if found.shape[3] > channels:
        named = next(name for name, data in items if decode(name, data, size).shape[2] > channels)
        raise SourceError(
            f"{named}: is in colour, {first_ones} is grey; put one in "
            "colour first, or make all grey"
        )
    return np.repeat(found, 3, axis=3) if found.shape[3] < channels else found
