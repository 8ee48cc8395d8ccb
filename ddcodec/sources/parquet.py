"""A folder of parquet shards in the Hugging Face image layout."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import MissingExtra, SourceError
from .base import Source, Split, numbered_classes, path_name
from .images import BATCH, decode_all

IMAGE_COLUMNS = ("img", "image")
LABEL_COLUMNS = ("label", "fine_label", "labels")


def shards(root: Path, split: str) -> list[Path]:
    """Return the parquet files of a split, in order; also looked for in a data/ folder."""
    for folder in (root, root / "data"):
        found = sorted(folder.glob(f"{split}-*.parquet")) + sorted(folder.glob(f"{split}.parquet"))
        if found:
            return found
    return []


def load(root: Path) -> Source:
    """Return the source in ``root``: an image column ``img`` or ``image``, and integer labels.

    Class names come from the ClassLabel feature in the schema metadata, else from the numbers.
    The test split is test, validation or val, the first that is there. Raises MissingExtra
    without pyarrow.
    """
    if importlib.util.find_spec("pyarrow") is None:
        raise MissingExtra("pyarrow, which reads parquet,", "data")
    train = shards(root, "train")
    if not train:
        raise SourceError(f"{root}: has no train-*.parquet files")
    test = shards(root, "test") or shards(root, "validation") or shards(root, "val")
    image, label, classes = _columns(train[0])
    splits = {"train": partial(_read, train, image, label)}
    if test:
        splits["test"] = partial(_read, test, image, label)
    if not classes:
        classes = numbered_classes(_labels(train, label), f"{root}: column '{label}'")
    return Source(path_name(root), classes, splits)


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


def _read(files: list[Path], image: str, label: str) -> Split:
    labels = _labels(files, label)
    return Split(decode_all(_encoded(files, image), len(labels)), labels)


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
                    data = cell.get("bytes") if isinstance(cell, dict) else cell
                    if not isinstance(data, bytes):
                        raise SourceError(
                            f"{name}: column '{column}' holds no image bytes; "
                            "store the images inside the parquet file"
                        )
                    yield name, data
                    row += 1


@contextmanager
def _open(path: Path, column: str | None = None) -> Iterator[Any]:
    """Open a shard; raises SourceError where it is broken or lacks ``column``."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            if column is not None and column not in names:
                raise SourceError(
                    f"{path}: has no column '{column}' as the first shard has; "
                    f"it has {', '.join(names)}"
                )
            yield file
    except (OSError, pa.ArrowException) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise SourceError(f"{path}: cannot be read as a parquet file: {reason}") from None
