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
from .by_class import ReadByClass
from .checks import check_complete, check_labels, numbered_classes
from .complete import require_all, require_finished
from .images import BATCH, Item, decode_all
from .spelling import plain
from .split import TESTS, ByClass, Split, places_by_class

IMAGE_COLUMNS = ("img", "image")
LABEL_COLUMNS = ("label", "fine_label", "labels")


def shards(folder: Path, split: str) -> list[Path]:
    """Return the parquet files of a split, in order.

    They are called ``<split>-*.parquet`` or ``<split>.parquet``, or lie in a folder ``<split>``, as
    the hub writes them when it converts a data set. Raises SourceError where that is a beginning
    only.
    """
    inner = sorted((folder / split).glob("*.parquet"))
    if not inner and (folder / f"partial-{split}").is_dir():
        raise SourceError(
            f"{folder / f'partial-{split}'}: is the beginning of the {split} split, all that the "
            "hub converts of a large one; fetch the original files"
        )
    named = sorted(folder.glob(f"{split}-*.parquet")) or sorted(folder.glob(f"{split}.parquet"))
    return named or inner


def load(path: Path, name: str, size: int | None = None) -> Source | None:
    """Return the source in ``path`` or a folder in it: an image column and integer labels.

    Class names come from the ClassLabel feature in the schema metadata, else from the numbers.
    The test split is the first of ``TESTS`` that is there and has labels: ImageNet's test labels
    are all -1. Raises SourceError for several configurations or missing shards, MissingExtra
    without pyarrow.
    """
    folder = _folder(path) if path.is_dir() else None
    if folder is None:
        return None
    if importlib.util.find_spec("pyarrow") is None:
        raise MissingExtra("pyarrow, which reads parquet,", "data")
    train = shards(folder, "train")
    tests = {split: files for split in TESTS if (files := shards(folder, split))}
    for place in {path, folder, *(file.parent for file in train)}:
        require_finished(place)
    for files in (train, *tests.values()):
        require_all(files)
    image, label, classes = _columns(train[0])
    splits = {"train": partial(_read, train, image, label, size)}
    if not classes:
        classes = numbered_classes(_labels(train, label), f"{folder}: column '{label}'")
    # A test split without labels gives way to the next.
    labelled = [n for n in tests if len(tests) == 1 or (_labels(tests[n], label) != -1).any()]
    tested_on = ""
    for role, split in zip(("test", "validation"), labelled or list(tests)[:1], strict=False):
        splits[role] = partial(_read_other, tests[split], image, label, classes, size)
        if role == "test":
            tested_on = f"the split {split}"
            if split != "test":
                why = "has no labels" if "test" in tests else "is not there"
                tested_on += f", since test {why}"
    by_class = partial(_by_class, train, image, label, classes, size)
    return Source(name, classes, splits, folder, by_class, None, tested_on)


def _folder(path: Path) -> Path | None:
    """Return the folder with the shards of train: ``path``, data/ in it, or one in it.

    On the hub a data set's files lie in data/ or in a folder called like its configuration.
    """
    for folder in (path, path / "data"):
        if shards(folder, "train"):
            return folder
    others = sorted(entry for entry in path.iterdir() if entry.is_dir() and entry.name[0] != ".")
    found = [folder for folder in others if shards(folder, "train")]
    if len(found) > 1:
        listed = ", ".join(folder.name for folder in found[:8]) + (", ..." if found[8:] else "")
        raise SourceError(
            f"{path}: holds {len(found)} configurations of a data set ({listed}); say which, as in "
            f"{found[0]}"
        )
    return found[0] if found else None


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

    def every() -> Iterator[Item]:
        return (item for _, item in rows.items(np.arange(len(labels))))

    def facts() -> Iterator[bytes]:
        for name in classes:
            yield name.encode() + b"\0"
        yield labels.astype("<i8").tobytes()
        for file in files:
            yield file.name.encode("utf-8", "surrogateescape") + b"\0"
            yield b"%d\0" % file.stat().st_size

    first = [item for _, item in rows.items(np.array([0]))]
    return ReadByClass([len(found) for found in places], items, first, every, size, facts)


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


def _read(files: list[Path], image: str, label: str, size: int | None) -> Split:
    labels = _labels(files, label)
    rows = _Rows(files, image).items(np.arange(len(labels)))
    return Split(decode_all((item for _, item in rows), len(labels), size), labels)


def _read_other(
    files: list[Path], image: str, label: str, classes: tuple[str, ...], size: int | None
) -> Split:
    """Read a split beside train; its labels are made those of train where it orders names so."""
    names = [plain(name) for name in _columns(files[0])[2]]
    ours = [plain(name) for name in classes]
    split = _read(files, image, label, size)
    if not names or names == ours:
        return split
    if sorted(names) != sorted(ours):
        odd = next((name for name in names if name not in ours), None)
        what = f"has the class '{odd}', which train has not" if odd else "lacks a class of train"
        raise SourceError(f"{files[0]}: {what}; name the same classes in both")
    check_labels(split.labels, len(names), str(files[0]))
    number = np.asarray([ours.index(name) for name in names], np.int64)
    return Split(split.images, number[split.labels])


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
