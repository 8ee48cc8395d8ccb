"""A folder of parquet shards in the Hugging Face image layout."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import MissingExtra, SourceError
from .base import Source
from .checks import check_complete, check_labels, numbered_classes
from .images import BATCH, Item, ReadByClass, decode_all
from .split import TESTS, ByClass, Split, places_by_class

IMAGE_COLUMNS = ("img", "image")
LABEL_COLUMNS = ("label", "fine_label", "labels")


def shards(folder: Path, split: str) -> list[Path]:
    """Return the parquet files of a split, in order."""
    return sorted(folder.glob(f"{split}-*.parquet")) or sorted(folder.glob(f"{split}.parquet"))


def load(path: Path, name: str, size: int | None = None) -> Source | None:
    """Return the source in ``path`` or a folder in it: an image column and integer labels.

    Class names come from the ClassLabel feature in the schema metadata, else from the numbers.
    The test split is the first of ``TESTS`` that is there and has labels: ImageNet's test labels
    are all -1. Raises MissingExtra without pyarrow.
    """
    inner = path.iterdir() if path.is_dir() else ()
    # On the hub a data set's files lie in data/ or in a folder called like its configuration.
    others = sorted(entry for entry in inner if entry.is_dir() and entry.name[0] != ".")
    folders = (path, path / "data", *others)
    folder = next((folder for folder in folders if shards(folder, "train")), None)
    if folder is None:
        return None
    if importlib.util.find_spec("pyarrow") is None:
        raise MissingExtra("pyarrow, which reads parquet,", "data")
    train = shards(folder, "train")
    tests = [files for split in TESTS if (files := shards(folder, split))]
    image, label, classes = _columns(train[0])
    splits = {"train": partial(_read, [train], image, label, size)}
    if tests:
        splits["test"] = partial(_read, tests, image, label, size)
    if not classes:
        classes = numbered_classes(_labels(train, label), f"{folder}: column '{label}'")
    by_class = partial(_by_class, train, image, label, classes, size)
    return Source(name, classes, splits, where=folder, by_class=by_class)


def _by_class(
    files: list[Path], image: str, label: str, classes: tuple[str, ...], size: int | None
) -> ByClass:
    labels, where = _labels(files, label), f"{files[0].parent} (train)"
    check_labels(labels, len(classes), where)
    check_complete(labels, classes, where)
    places = places_by_class(labels, len(classes))
    rows = _Rows(files, image)

    def items(label: int, index: NDArray[np.int64]) -> list[Item]:
        wanted = places[label][index]
        found = dict(rows.items(np.unique(wanted)))
        return [found[row] for row in wanted.tolist()]

    def facts() -> Iterator[bytes]:
        for name in classes:
            yield name.encode() + b"\0"
        yield labels.astype("<i8").tobytes()
        for file in files:
            yield file.name.encode("utf-8", "surrogateescape") + b"\0"
            yield b"%d\0" % file.stat().st_size

    first = [item for _, item in rows.items(np.array([0]))]
    return ReadByClass([len(found) for found in places], items, first, size, facts)


class _Rows:
    """Rows of shards, numbered through.

    Only the row groups that hold a wanted row are read, batch by batch. Where the classes of a
    data set lie mixed, that is nearly all of it for every class: sort such a data set by its
    labels, or expect a pass over it for each class.
    """

    def __init__(self, files: Sequence[Path], column: str) -> None:
        self._column = column
        # (shard, row of the whole where it begins, row group, its first row and its end)
        self._groups: list[tuple[Path, int, int, int, int]] = []
        end = 0
        for path in files:
            first = end
            with _open(path, column) as file:
                for group in range(file.metadata.num_row_groups):
                    begin, end = end, end + file.metadata.row_group(group).num_rows
                    self._groups.append((path, first, group, begin, end))

    def items(self, wanted: NDArray[np.int64]) -> Iterator[tuple[int, Item]]:
        """Yield (row, (shard and row of it, encoded image)) of ascending rows."""
        for path, first, group, begin, end in self._groups:
            mine = _between(wanted, begin, end)
            if not len(mine):
                continue
            with _open(path, self._column) as file:
                for batch in file.iter_batches(BATCH, row_groups=[group], columns=[self._column]):
                    cells = batch.column(0)
                    for row in _between(mine, begin, begin + len(cells)).tolist():
                        name = f"{path} row {row - first}"
                        cell = cells[row - begin].as_py()
                        yield row, (name, _bytes_of(name, cell, self._column))
                    begin += len(cells)
                    if begin > mine[-1]:
                        break


def _between(rows: NDArray[np.int64], begin: int, end: int) -> NDArray[np.int64]:
    return rows[slice(*np.searchsorted(rows, (begin, end)))]


def _columns(path: Path) -> tuple[str, str, tuple[str, ...]]:
    """Return the names of the image and label columns, and the class names or ()."""
    with _open(path) as file:
        schema: Any = file.schema_arrow
    image = next((c for c in IMAGE_COLUMNS if c in schema.names), None)
    label = next((c for c in LABEL_COLUMNS if c in schema.names), None)
    if image is None or label is None:
        kind, known = ("image", IMAGE_COLUMNS) if image is None else ("label", LABEL_COLUMNS)
        raise SourceError(
            f"{path}: has no {kind} column, called {' or '.join(known)}; "
            f"it has {', '.join(schema.names) or 'none'}"
        )
    try:
        names = json.loads(schema.metadata[b"huggingface"])["info"]["features"][label]["names"]
    except (KeyError, TypeError, ValueError):
        names = None  # they are optional; numbers stand in
    return image, label, tuple(map(str, names)) if isinstance(names, list) else ()


def _read(choice: list[list[Path]], image: str, label: str, size: int | None) -> Split:
    """Read the first of several splits whose labels are not all -1, which means not given."""
    for files in choice:
        labels = _labels(files, label)
        if (labels != -1).any():
            break
    rows = _Rows(files, image).items(np.arange(len(labels)))
    return Split(decode_all((item for _, item in rows), len(labels), size), labels)


def _labels(files: list[Path], column: str) -> NDArray[np.int64]:
    import pyarrow as pa

    parts = [np.empty(0, np.int64)]
    for path in files:
        with _open(path, column) as file:
            values: Any = file.read(columns=[column]).column(column)
        if values.null_count or not pa.types.is_integer(values.type):
            found = "has empty rows" if values.null_count else f"is {values.type}"
            raise SourceError(
                f"{path}: column '{column}' {found}; it must hold one integer for each image"
            )
        parts.append(values.to_numpy().astype(np.int64))
    return np.concatenate(parts)


def _bytes_of(name: str, cell: Any, column: str) -> bytes:
    data = cell.get("bytes") if isinstance(cell, dict) else cell
    if not isinstance(data, bytes):
        raise SourceError(
            f"{name}: column '{column}' holds no image bytes; "
            "store the images inside the parquet file"
        )
    return data


@contextmanager
def _open(path: Path, column: str | None = None) -> Iterator[Any]:
    """Open a shard; raises SourceError where it is broken or lacks ``column``."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            names = file.schema_arrow.names
            if column is not None and column not in names:
                raise SourceError(
                    f"{path}: has no column '{column}' as the first shard has; "
                    f"it has {', '.join(names)}"
                )
            yield file
    # Damaged names are no UTF-8, which pyarrow leaves to Python to find.
    except (OSError, ValueError, pa.ArrowException) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise SourceError(f"{path}: cannot be read as a parquet file: {reason}") from None
