"""A folder of parquet shards in the Hugging Face image layout."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import MissingExtra, SourceError
from .base import Source, Split, numbered_classes
from .by_class import ByClass, InMemory
from .images import BATCH, decode_all
from .parquet_classes import ParquetClasses

IMAGE_COLUMNS = ("img", "image")
HELD_BYTES = 1 << 30  # of training images; a larger data set is read class by class
TESTS = ("test", "validation", "valid", "val")
LABEL_COLUMNS = ("label", "fine_label", "labels")


def find(path: Path) -> Path | None:
    """Return the folder that holds train shards: ``path``, its data folder or another in it."""
    if not path.is_dir():
        return None
    # On the hub a data set's files lie in data/ or in a folder called like its configuration.
    inner = (entry for entry in path.iterdir() if not entry.name.startswith("."))
    folders = [path, path / "data", *sorted(entry for entry in inner if entry.is_dir())]
    return next((folder for folder in folders if shards(folder, "train")), None)


def shards(folder: Path, split: str) -> list[Path]:
    """Return the parquet files of a split, in order."""
    return sorted(folder.glob(f"{split}-*.parquet")) or sorted(folder.glob(f"{split}.parquet"))


def load(folder: Path, name: str, size: int | None = None) -> Source:
    """Return the source in ``folder``: an image column ``img`` or ``image``, and integer labels.

    Class names come from the ClassLabel feature in the schema metadata, else from the numbers.
    The test split is test, validation, valid or val, the first that is there and has labels:
    ImageNet's test labels are all -1. Raises MissingExtra without pyarrow.
    """
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
    files: list[Path],
    image: str,
    label: str,
    classes: tuple[str, ...],
    size: int | None,
    source: Source,
) -> ByClass:
    labels = _labels(files, label)
    lazy = ParquetClasses(files, image, labels, classes, size, _open, _bytes_of)
    # What fits is read as everywhere else, so that its digest is that of its pixels.
    return InMemory(source) if lazy.total * prod(lazy.shape) <= HELD_BYTES else lazy


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
    return Split(decode_all(_encoded(files, image), len(labels), size), labels)


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


def _encoded(files: list[Path], column: str) -> Iterator[tuple[str, bytes]]:
    """Yield (file and row, encoded image) of all shards, never holding more than a batch."""
    for path in files:
        row = 0
        with _open(path, column) as file:
            for batch in file.iter_batches(batch_size=BATCH, columns=[column]):
                for cell in batch.column(0).to_pylist():
                    name = f"{path} row {row}"
                    yield name, _bytes_of(name, cell, column)
                    row += 1


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
