"""The ImageFolder layout: root/train/<class>/*.png and root/test/<class>/*.png (or val)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import SourceError
from .archive import is_archive
from .base import Source
from .images import Item, ReadByClass, read_split
from .split import TESTS, ByClass, Split

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"}


def load(root: Path, name: str, size: int | None = None) -> Source | None:
    """Return the source in ``root``; classes are the folders of train/, in sorted order.

    Images may lie deeper in a class folder; names that begin with a dot are passed over, and links
    to folders in a class are not followed. All images are grey, or all are made RGB; ``size`` makes
    them squares. A class may be absent from the test folder, which is test, val, validation or
    valid, the first that has class folders.
    """
    train = root / "train"
    inside = list(train.iterdir()) if train.is_dir() else None
    # A train folder of archives alone belongs to WebDataset.
    if inside is None or (any(map(is_archive, inside)) and not any(e.is_dir() for e in inside)):
        return None
    classes = tuple(_class_folders(train))
    if not classes:
        raise _no_classes(train, "<class>")
    splits = {"train": partial(_read, train, classes, size)}
    tests = [root / name for name in TESTS if (root / name).is_dir()]
    if tests:
        # A test folder without classes holds images without labels, as in many competitions.
        labelled = (folder for folder in tests if set(classes) & set(_class_folders(folder)))
        splits["test"] = partial(_read, next(labelled, tests[0]), classes, size)
    return Source(
        name, classes, splits, where=root, by_class=partial(_by_class, train, classes, size)
    )


def _by_class(folder: Path, classes: tuple[str, ...], size: int | None) -> ByClass:
    files = [_images(folder / name) for name in classes]

    def items(label: int, index: NDArray[np.int64]) -> list[Item]:
        return [(str(files[label][i]), files[label][i]) for i in index.tolist()]

    def facts() -> Iterator[bytes]:
        for name, found in zip(classes, files, strict=True):
            yield name.encode() + b"\0"
            for file in found:
                yield os.fsencode(file.relative_to(folder).as_posix()) + b"\0"
                yield b"%d\0" % file.stat().st_size

    first = [(str(found[0]), found[0]) for found in files]
    return ReadByClass([len(found) for found in files], items, first, size, facts)


def _read(folder: Path, classes: tuple[str, ...], size: int | None) -> Split:
    files: list[Path] = []
    labels: list[int] = []
    for name in _class_folders(folder):
        if name not in classes:
            raise SourceError(
                f"{folder / name}: is no class of the train folder; rename or remove it"
            )
        found = _images(folder / name)
        files += found
        labels += [classes.index(name)] * len(found)
    if not files:
        raise _no_classes(folder, classes[0])
    return read_split(files, labels, size)


def _no_classes(folder: Path, example: str) -> SourceError:
    return SourceError(
        f"{folder}: has no class folders; put images at {folder / example / '<image>.png'}"
    )


def _class_folders(folder: Path) -> list[str]:
    names = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    for name in names:
        if (folder / name).is_symlink() and not (folder / name).exists():
            raise SourceError(f"{folder / name}: is a link that leads nowhere; repair or remove it")
    return [name for name in names if (folder / name).is_dir()]


def _images(folder: Path) -> list[Path]:
    found = []
    for where, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            path = Path(where, name)
            if name.startswith(".") or path.suffix.lower() not in SUFFIXES:
                continue
            if not path.is_file():
                raise SourceError(f"{path}: is a broken link or no regular file; remove it")
            found.append(path)
    if not found:
        raise SourceError(
            f"{folder}: class '{folder.name}' has no images; add some, or remove the folder"
        )
    return sorted(found)
