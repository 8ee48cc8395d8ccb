"""The ImageFolder layout: root/train/<class>/*.png and root/test/<class>/*.png (or val)."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from ..errors import SourceError
from .base import Source, Split
from .images import decode_all

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"}


def load(root: Path) -> Source:
    """Return the source in ``root``; classes are the folders of train/, in sorted order."""
    train = root / "train"
    classes = tuple(sorted(d.name for d in train.iterdir() if d.is_dir()))
    if not classes:
        raise SourceError(f"{train}: has no class folders; put images at train/<class>/<image>")
    splits = {"train": partial(_read, train, classes)}
    for name in ("test", "val", "validation"):
        if (root / name).is_dir():
            splits["test"] = partial(_read, root / name, classes)
            break
    return Source(root.resolve().name, classes, splits)


def _read(folder: Path, classes: tuple[str, ...]) -> Split:
    files: list[Path] = []
    labels: list[int] = []
    extra = sorted({d.name for d in folder.iterdir() if d.is_dir()} - set(classes))
    if extra:
        raise SourceError(f"{folder / extra[0]}: is no class of the train folder")
    for label, name in enumerate(classes):
        inside = sorted((folder / name).glob("*")) if (folder / name).is_dir() else []
        found = [p for p in inside if p.suffix.lower() in SUFFIXES]
        if not found:
            raise SourceError(f"{folder / name}: class '{name}' has no images")
        files += found
        labels += [label] * len(found)
    images = decode_all(files, [str(f) for f in files])
    return Split(images, np.asarray(labels, dtype=np.int64))
