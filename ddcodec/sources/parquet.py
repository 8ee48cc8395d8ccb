"""A folder of parquet shards in the Hugging Face image layout."""

from __future__ import annotations

import importlib.util
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import MissingExtra, SourceError
from .base import Source, Split
from .images import decode_all

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
    """Return the source in ``root``; raises MissingExtra without pyarrow."""
    if importlib.util.find_spec("pyarrow") is None:
        raise MissingExtra("pyarrow, which reads parquet,", "data")
    train = shards(root, "train")
    if not train:
        raise SourceError(f"{root}: has no train-*.parquet files")
    image, label, classes = _columns(train[0])
    splits = {"train": partial(_read, train, image, label)}
    test = shards(root, "test") or shards(root, "validation") or shards(root, "val")
    if test:
        splits["test"] = partial(_read, test, image, label)
    if not classes:
        count = int(splits["train"]().labels.max()) + 1
        classes = tuple(str(i) for i in range(count))
    return Source(root.resolve().name, classes, splits)


def _columns(path: Path) -> tuple[str, str, tuple[str, ...]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema: Any = pq.read_schema(path)
    except (OSError, pa.ArrowException):
        raise SourceError(f"{path}: cannot be read as a parquet file") from None
    image = next((c for c in IMAGE_COLUMNS if c in schema.names), None)
    label = next((c for c in LABEL_COLUMNS if c in schema.names), None)
    if image is None or label is None:
        missing = "image" if image is None else "label"
        raise SourceError(f"{path}: has no {missing} column; it has {', '.join(schema.names)}")
    names: tuple[str, ...] = ()
    try:
        features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
        names = tuple(str(n) for n in features[label]["names"])
    except (KeyError, TypeError, ValueError):
        pass  # the names are optional; numbers stand in
    return image, label, names


def _read(files: list[Path], image: str, label: str) -> Split:
    import pyarrow as pa
    import pyarrow.parquet as pq

    parts, labels = [], []
    for path in files:
        try:
            table: Any = pq.read_table(path, columns=[image, label])
        except (OSError, pa.ArrowException):
            raise SourceError(f"{path}: cannot be read as a parquet file") from None
        rows = table.column(image).to_pylist()
        encoded = [r.get("bytes") if isinstance(r, dict) else r for r in rows]
        names = [f"{path} row {i}" for i in range(len(rows))]
        for data, name in zip(encoded, names, strict=True):
            if not isinstance(data, bytes):
                raise SourceError(f"{name}: holds no image bytes")
        parts.append(decode_all(encoded, names))
        labels.append(np.asarray(table.column(label).to_pylist(), dtype=np.int64))
    if len({p.shape[1:] for p in parts}) > 1:
        raise SourceError(f"{files[0].parent}: shards hold images of different sizes or colours")
    return Split(np.concatenate(parts), np.concatenate(labels))
