"""Sets of image files: a folder for each class, or parquet with images and soft labels.

RDED, SRe2L and CDA write JPEGs into class folders. Soft labels, where there are such, lie beside
the folders: one table of them (npz, npy or a tensor), rows in the order of the sorted files, or
``labels.csv``, which ``ddcodec decode`` writes.
"""

from __future__ import annotations

import csv
import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidFile, MissingExtra, SourceError, one_line
from ...format import Manifest
from ...limits import Limits
from ...sources.checks import numbered_classes
from ...sources.imagefolder import SUFFIXES
from ...sources.images import Item, decode_all
from ...sources.spelling import TEXT_MAX, plain
from .array_sets import holds_bytes, manifest_of
from .found import Found, checked_images, checked_labels, starts_with
from .tables import TABLES, read_table

IMAGE_COLUMNS, LABEL_COLUMNS = ("image", "img"), ("label", "labels", "fine_label")
SOFT_COLUMNS = ("soft_label", "soft_labels", "logits")


def find_folder(path: Path, apart: NDArray[Any] | None, limits: Limits = Limits()) -> Found | None:
    """Return the set in class folders, at ``path`` or in its folder ``train``; None for none.

    Folders that are numbered, as in class00007 or 7, are classes of these numbers; others are
    classes in the order of their names. ``apart`` are labels that were named apart. Raises
    InvalidFile where labels and images disagree, SourceError for an image that cannot be read.
    """
    if not path.is_dir():
        return None
    root = path / "train" if (path / "train").is_dir() else path
    folders = [each for each in sorted(root.iterdir()) if each.is_dir() and _images(each)]
    if not folders:
        return None
    files = [file for folder in folders for file in _images(folder)]
    if len(files) > limits.patches:
        raise InvalidFile(f"{path}: {len(files)} images, the limit is {limits.patches}")
    pixels = decode_all(((str(file), file) for file in files), len(files))[:]
    images = checked_images(path, np.asarray(pixels).transpose(0, 3, 1, 2), limits)
    names = [plain(folder.name) for folder in folders]
    manifest = _manifest(path, limits)
    if manifest is not None:
        # A class without an image of its own has no folder.
        classes = manifest.classes
        labels = _csv(path / "labels.csv", path, files)
        # The number in a name is the place in the file, whatever class it shows.
        place = np.argsort([file.stem for file in files], kind="stable")
        soft = None if labels is None else labels[place]
        images = _bytes_only(path, images[place], manifest)
        return Found(
            "ddcodec decode", images, soft, "soft", "pixels",
            classes=classes, manifest=manifest,
        )  # fmt: skip
    numbers = _numbers(names, limits)
    classes = tuple(names) if numbers is None else tuple(map(str, range(max(numbers) + 1)))
    number = dict(zip(folders, numbers or range(len(folders)), strict=True))
    own = np.array([number[_class_of(file, number)] for file in files], np.int64)
    soft = _soft(path, files, limits) if apart is None else checked_labels(path, apart, len(files))
    if soft is not None and soft.ndim == 2 and soft.shape[1] < len(classes):
        raise InvalidFile(
            f"{path}: soft labels of {soft.shape[1]} classes for {len(classes)} class folders"
        )
    return Found(
        "RDED, SRe2L or CDA: class folders", images, own if soft is None else soft,
        space="pixels", classes=classes,
        hint="taken as whole images; mosaics, as RDED makes of large ones, need `factor`=2",
    )  # fmt: skip


def find_parquet(path: Path, limits: Limits = Limits()) -> Found | None:
    """Return the set in a parquet file, or in all those of a folder; None where there is none."""
    files = [path] if path.is_file() and starts_with(path, b"PAR1") else []
    if path.is_dir():
        files = sorted(path.glob("*.parquet")) or sorted(path.glob("*/train-*.parquet"))
    if not files:
        return None
    if importlib.util.find_spec("pyarrow") is None:
        raise MissingExtra("pyarrow, which reads parquet,", "data")
    cells: list[Item] = []
    labels: list[Any] = []
    names: tuple[str, ...] = ()
    for file in files:
        more, soft, named = _table(file, limits)
        cells += more
        labels += soft
        names = names or named
    if not cells or len({np.ndim(label) for label in labels}) != 1:
        raise InvalidFile(f"{path}: has no rows, or labels of several kinds")
    try:
        table = np.array(labels)
    except ValueError:
        raise InvalidFile(f"{path}: soft labels differ in length") from None
    pixels = decode_all(cells, len(cells))[:]
    images = checked_images(path, np.asarray(pixels).transpose(0, 3, 1, 2), limits)
    found = checked_labels(path, table, len(images))
    if not names and found.ndim == 1:
        names = numbered_classes(found, str(path))
    manifest = _manifest(path if path.is_dir() else path.parent, limits)
    if manifest is not None:
        return Found(
            "ddcodec decode", _bytes_only(path, images, manifest), found, "soft", "pixels",
            classes=manifest.classes, manifest=manifest,
        )  # fmt: skip
    return Found("parquet", images, found, space="pixels", classes=names)


def _bytes_only(path: Path, images: NDArray[Any], manifest: Manifest) -> NDArray[Any]:
    if not holds_bytes(manifest):
        raise InvalidFile(
            f"{path}: holds pictures of values that no byte can hold; import what "
            "decode --to npz writes, which is exact"
        )
    return images


def _table(path: Path, limits: Limits) -> tuple[list[Item], list[Any], tuple[str, ...]]:
    """Return the encoded images, the labels and the class names of a parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            schema: Any = file.schema_arrow
            image, soft, label = (
                next((name for name in columns if name in schema.names), None)
                for columns in (IMAGE_COLUMNS, SOFT_COLUMNS, LABEL_COLUMNS)
            )
            wanted = soft or label
            if image is None or wanted is None:
                raise InvalidFile(
                    f"{path}: has no column {IMAGE_COLUMNS[0]}, or none of labels, called "
                    f"{SOFT_COLUMNS[0]} or {LABEL_COLUMNS[0]}; it has {', '.join(schema.names)}"
                )
            if file.metadata.num_rows > limits.patches:
                raise InvalidFile(f"{path}: more rows than the limit of {limits.patches}")
            read: Any = file.read(columns=[image, wanted])
    except (OSError, ValueError, pa.ArrowException) as error:
        raise SourceError(f"{path}: cannot be read as parquet: {one_line(error)}") from None
    rows = read.column(image).to_pylist()
    cells: list[Item] = []
    for index, row in enumerate(rows):
        data = row.get("bytes") if isinstance(row, dict) else row
        if not isinstance(data, bytes):
            raise InvalidFile(f"{path}: row {index} holds no image bytes")
        cells.append((f"{path}: row {index}", data))
    try:
        told = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
        names = tuple(map(str, told[label]["names"]))
    except (KeyError, TypeError, ValueError):
        names = ()
    return cells, read.column(wanted).to_pylist(), names


def _images(folder: Path) -> list[Path]:
    return sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in SUFFIXES and file.is_file() and file.name[0] != "."
    )


def _class_of(file: Path, folders: dict[Path, int]) -> Path:
    return next(parent for parent in file.parents if parent in folders)


def _numbers(names: list[str], limits: Limits) -> list[int] | None:
    """Return the classes of folders that are called alike but for a number, else None."""
    found = [re.fullmatch(r"(\D*)(\d{1,7})", name) for name in names]
    parts = [match.groups() for match in found if match is not None]
    if len(parts) < len(names) or len({word for word, _ in parts}) != 1:
        return None
    numbers = [int(digits) for _, digits in parts]
    return numbers if max(numbers) < limits.classes and len({*numbers}) == len(names) else None


def _soft(path: Path, files: list[Path], limits: Limits) -> NDArray[Any] | None:
    beside = sorted(e for e in path.iterdir() if e.suffix.lower() in TABLES and e.is_file())
    if len(beside) > 1:
        raise InvalidFile(
            f"{path}: has {len(beside)} tables of labels, {beside[0].name} and others; name one "
            "with `labels_file`"
        )
    if not beside:
        return _csv(path / "labels.csv", path, files)
    return checked_labels(beside[0], read_table(beside[0], limits), len(files))


def _csv(path: Path, root: Path, files: list[Path]) -> NDArray[np.float32] | None:
    """Return the rows of ``labels.csv`` in the order of ``files``; None where it is not there."""
    if not path.is_file():
        return None
    if path.stat().st_size > TEXT_MAX:
        raise InvalidFile(f"{path}: has more than {TEXT_MAX:,} bytes")
    try:
        with path.open(newline="", encoding="utf-8") as text:
            rows: Iterator[list[str]] = csv.reader(text)
            next(rows)
            by_name = {row[0]: [float(value) for value in row[1:]] for row in rows if row}
        return np.array([by_name[f.relative_to(root).as_posix()] for f in files], np.float32)
    except KeyError as error:
        raise InvalidFile(f"{path}: has no row for {error}") from None
    except (ValueError, StopIteration, csv.Error, UnicodeDecodeError):
        raise InvalidFile(f"{path}: is no table of file names and labels") from None


def _manifest(folder: Path, limits: Limits) -> Manifest | None:
    place = folder / "manifest.json"
    if not place.is_file():
        return None
    if place.stat().st_size > limits.header_bytes:
        raise InvalidFile(f"{place}: is larger than any manifest")
    try:
        return manifest_of(place, place.read_text("utf-8"), limits)
    except UnicodeDecodeError:
        raise InvalidFile(f"{place}: is no text") from None
