"""Parquet shards read a class at a time: data sets larger than memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SourceError
from .folder_classes import fitted
from .images import BATCH, decode_all

Open = Callable[[Path, str], Any]  # a shard and the column that it must have, as a context
Cell = Callable[[str, Any, str], bytes]  # (name for messages, a cell, its column) -> image bytes


class ParquetClasses:
    """The classes of parquet shards of which labels alone are kept in memory (a ``ByClass``).

    Only the row groups that hold a wanted image are read, batch by batch. Where the classes of a
    data set lie mixed, that is nearly all of it for every class: sort such a data set by its
    labels, or expect a pass over it for each class.

    The first image says how large all are, and whether they are grey or in colour.
    """

    def __init__(
        self,
        files: Sequence[Path],
        column: str,
        labels: NDArray[np.int64],
        classes: Sequence[str],
        size: int | None,
        open_shard: Open,
        bytes_of: Cell,
    ) -> None:
        """Take the shards, the column of their images and the labels of all rows in order.

        Raises SourceError for an image that cannot be read, labels that are no class, and a class
        without images.
        """
        self._files, self._column, self._size = files, column, size
        self._classes, self._labels = classes, labels
        self._open, self._bytes_of = open_shard, bytes_of
        where = f"{files[0].parent} (train)"
        outside = np.flatnonzero((labels < 0) | (labels >= len(classes)))
        if len(outside):
            at = int(outside[0])
            raise SourceError(
                f"{where}: label {labels[at]} of image {at} lies outside 0..{len(classes) - 1}, "
                "the numbers of the classes"
            )
        counts = np.bincount(labels, minlength=len(classes))
        if (counts == 0).any():
            empty = classes[int(np.argmin(counts))]
            raise SourceError(f"{where}: class '{empty}' has no training image; add some")
        order = np.argsort(labels, kind="stable")
        self._places = np.split(order, np.cumsum(counts)[:-1])
        self.total = len(labels)
        self._groups = list(self._row_groups())
        ((self._first, data),) = self._encoded(np.array([0]))
        peeked = decode_all([(self._first, data)], 1, size)
        self.shape = (int(peeked.shape[3]), int(peeked.shape[1]), int(peeked.shape[2]))

    def count(self, label: int) -> int:
        """Return the number of images of a class."""
        return len(self._places[label])

    def images(self, label: int, index: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the images at ``index`` of a class, uint8 (n, H, W, C).

        Raises SourceError naming the row that cannot be read or does not fit.
        """
        items = self._encoded(self._places[label][index])
        found = decode_all(items, len(items), self._size)
        return fitted(found, items, self._size, self.shape, self._first, "the first image")

    def digest(self) -> str:
        """Return a digest of class names, labels, and the names and sizes of all shards.

        To read all pixels would take as long as the encode itself.
        """
        h = hashlib.sha256()
        for name in self._classes:
            h.update(name.encode() + b"\0")
        h.update(self._labels.astype("<i8").tobytes())
        for file in self._files:
            h.update(file.name.encode("utf-8", "surrogateescape") + b"\0")
            h.update(b"%d\0" % file.stat().st_size)
        return h.hexdigest()

    def _row_groups(self) -> Iterator[tuple[Path, int, int, int, int]]:
        """Give (shard, row group, row of the shard and of the whole where it begins, rows)."""
        whole = 0
        for path in self._files:
            row = 0
            with self._open(path, self._column) as file:
                for group in range(file.metadata.num_row_groups):
                    count = file.metadata.row_group(group).num_rows
                    yield path, group, row, whole, count
                    row, whole = row + count, whole + count

    def _encoded(self, rows: NDArray[np.int64]) -> list[tuple[str, bytes]]:
        """Return (file and row, encoded image) of rows of the whole, in their order."""
        found: dict[int, tuple[str, bytes]] = {}
        wanted = np.unique(rows)
        for path, group, row, whole, count in self._groups:
            mine = wanted[(wanted >= whole) & (wanted < whole + count)] - whole
            if len(mine):
                for at, cell in self._cells(path, group, mine):
                    name = f"{path} row {row + at}"
                    found[whole + at] = name, self._bytes_of(name, cell, self._column)
        return [found[int(place)] for place in rows]

    def _cells(
        self, path: Path, group: int, wanted: NDArray[np.int64]
    ) -> Iterator[tuple[int, Any]]:
        """Give (row of the group, cell) for wanted rows of a row group, in ascending order."""
        begin = 0
        with self._open(path, self._column) as file:
            for batch in file.iter_batches(BATCH, row_groups=[group], columns=[self._column]):
                column = batch.column(0)
                for at in wanted[(wanted >= begin) & (wanted < begin + len(column))].tolist():
                    yield at, column[at - begin].as_py()
                begin += len(column)
                if begin > wanted[-1]:
                    return
