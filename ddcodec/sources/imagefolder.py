"""The ImageFolder layout: root/train/<class>/*.png and root/test/<class>/*.png (or val)."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from ..errors import SourceError
from .base import Source, Split, path_name
from .images import decode_all

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"}
TEST_FOLDERS = ("test", "val", "validation")


def load(root: Path) -> Source:
    """Return the source in ``root``; classes are the folders of train/, in sorted order.

    Images may lie deeper in a class folder; names that begin with a dot are passed over. All
    images are grey, or all are made RGB. A class may be absent from the test folder.
    """
    train = root / "train"
    classes = tuple(_class_folders(train))
    if not classes:
        raise SourceError(
            f"{train}: has no class folders; put images at {train / '<class>' / '<image>.png'}"
        )
    splits = {"train": partial(_read, train, classes)}
    test = next((root / name for name in TEST_FOLDERS if (root / name).is_dir()), None)
    if test is not None:
        splits["test"] = partial(_read, test, classes)
    return Source(path_name(root), classes, splits)


def _read(folder: Path, classes: tuple[str, ...]) -> Split:
    files: list[Path] = []
    labels: list[int] = []
    for name in _class_folders(folder):
        if name not in classes:
            raise SourceError(
                f"{folder / name}: is no class of the train folder; rename or remove it"
            )
        found = _images(folder / name)
        if not found:
            raise SourceError(
                f"{folder / name}: class '{name}' has no images; add some, or remove the folder"
            )
        files += found
        labels += [classes.index(name)] * len(found)
    if not files:
        raise SourceError(
            f"{folder}: has no class folders; put images at {folder / classes[0] / '<image>.png'}"
        )
    images = decode_all(((str(file), file) for file in files), len(files))
    return Split(images, np.asarray(labels, dtype=np.int64))


def _class_folders(folder: Path) -> list[str]:
    return sorted(d.name for d in folder.iterdir() if d.is_dir() and not d.name.startswith("."))


def _images(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    )
