"""CIFAR-10 and CIFAR-100 as their author publishes them: python or binary, packed or unpacked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import SourceError
from . import pickles
from .archive import entries, is_archive, read_files
from .base import Source
from .complete import require_content, require_finished
from .split import Split

PIXELS = 3 * 32 * 32  # bytes of an image: a red plane, a green one, a blue one


@dataclass(frozen=True)
class Edition:
    """One of the four archives."""

    name: str  # of the data set
    archive: str
    folder: str  # in the archive, with these files
    train: tuple[str, ...]
    test: str
    meta: str  # holds the class names
    labels: str | int  # key of the labels in python files; their column in a binary record
    names: str = ""  # key of the class names in the python meta file

    @property
    def binary(self) -> bool:
        """Whether the files are records of bytes, not pickles."""
        return isinstance(self.labels, int)


EDITIONS = (
    Edition(
        "cifar10",
        "cifar-10-python.tar.gz",
        "cifar-10-batches-py",
        tuple(f"data_batch_{i}" for i in range(1, 6)),
        "test_batch",
        "batches.meta",
        labels="labels",
        names="label_names",
    ),
    Edition(
        "cifar10",
        "cifar-10-binary.tar.gz",
        "cifar-10-batches-bin",
        tuple(f"data_batch_{i}.bin" for i in range(1, 6)),
        "test_batch.bin",
        "batches.meta.txt",
        labels=0,
    ),
    Edition(
        "cifar100",
        "cifar-100-python.tar.gz",
        "cifar-100-python",
        ("train",),
        "test",
        "meta",
        labels="fine_labels",
        names="fine_label_names",
    ),
    Edition(
        "cifar100",
        "cifar-100-binary.tar.gz",
        "cifar-100-binary",
        ("train.bin",),
        "test.bin",
        "fine_label_names.txt",
        labels=1,
    ),
)


def load(path: Path, name: str, size: int | None = None) -> Source | None:
    """Return CIFAR-10 or CIFAR-100, with its fine labels, from an archive or folder at or in path.

    It is called by its own name, whatever ``name`` is. Images come in the official order. Pickles
    are read without running them.
    """
    for place in (path, *(path / name for e in EDITIONS for name in (e.folder, e.archive))):
        edition = _edition(place)
        if edition is not None:
            _require_whole(edition, place)
            classes = _classes(edition, place)
            splits = {
                "train": partial(_read, edition, place, edition.train),
                "test": partial(_read, edition, place, (edition.test,)),
            }
            return Source(edition.name, classes, splits, where=place, size=size)
    return None


def _edition(place: Path) -> Edition | None:
    if is_archive(place):
        for name, _ in entries(place):  # the first file tells
            folder = name.removeprefix("./").partition("/")[0]
            return next((e for e in EDITIONS if e.folder == folder), None)
    here = (e for e in EDITIONS if (place / e.meta).is_file())
    return next((e for e in here if any((place / n).is_file() for n in (*e.train, e.test))), None)


def _require_whole(edition: Edition, place: Path) -> None:
    require_finished(place)
    if not place.is_dir():
        require_content([place])
        return
    files = [place / name for name in (*edition.train, edition.test, edition.meta)]
    for path in files:
        if not path.is_file():
            raise SourceError(f"{path}: is missing; fetch the data set again")
    require_content(files)


def _classes(edition: Edition, place: Path) -> tuple[str, ...]:
    content = read_files(place, [edition.meta])[edition.meta]
    with _damage_in(f"{place}: {edition.meta}"):
        if edition.binary:
            names = content.decode("utf-8-sig").split()
        else:
            names = [_text(name) for name in _field(pickles.load(content), edition.names)]
        if not names:
            raise ValueError("holds no class names")
        return tuple(names)


def _read(edition: Edition, place: Path, files: tuple[str, ...]) -> Split:
    contents = read_files(place, files)
    parse = _records if edition.binary else _batch
    images, labels = [], []
    for name in files:
        with _damage_in(f"{place}: {name}"):
            data, found = parse(contents.pop(name), edition)
        images.append(data.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
        labels.append(found)
    return Split(np.concatenate(images), np.concatenate(labels))


def _batch(content: bytes, edition: Edition) -> tuple[np.ndarray, np.ndarray]:
    batch = pickles.load(content)
    data, labels = _field(batch, "data"), _field(batch, str(edition.labels))
    if not isinstance(data, np.ndarray) or data.ndim != 2 or data.shape[1] != PIXELS:
        raise ValueError(f"holds no data of uint8 (N, {PIXELS})")
    if not isinstance(labels, list) or any(type(n) is not int for n in labels):
        raise ValueError("holds labels that are no list of integers")
    if len(labels) != len(data) or any(not 0 <= n < 1000 for n in labels):
        raise ValueError(f"holds {len(data)} images but {len(labels)} labels, or wild ones")
    return data, np.asarray(labels, np.int64)


def _records(content: bytes, edition: Edition) -> tuple[np.ndarray, np.ndarray]:
    column = int(edition.labels)
    record = column + 1 + PIXELS
    if not content or len(content) % record:
        raise ValueError(f"has {len(content)} bytes, which are no records of {record}")
    rows = np.frombuffer(content, np.uint8).reshape(-1, record)
    return rows[:, column + 1 :], rows[:, column].astype(np.int64)


def _field(content: object, key: str) -> Any:
    """Return an entry of a dict; Python 2 wrote its keys as bytes."""
    if not isinstance(content, dict):
        raise ValueError("holds no dict")
    for form in (key.encode(), key):
        if form in content:
            return content[form]
    raise ValueError(f"has no entry '{key}'")


def _text(name: object) -> str:
    if isinstance(name, bytes):
        return name.decode("utf-8")
    if not isinstance(name, str):
        raise ValueError("holds a class name that is no text")
    return name


@contextmanager
def _damage_in(where: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError) as error:
        said = "is damaged" if isinstance(error, UnicodeError | TypeError) else error
        raise SourceError(f"{where} {said}") from None
