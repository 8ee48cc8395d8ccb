"""Tiny-ImageNet as Stanford publishes it: class folders to train, annotations to validate."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from ..errors import SourceError
from . import imagefolder
from .base import Source, Split
from .images import read_split

NAME, FOLDER = "tiny-imagenet", "tiny-imagenet-200"
ANNOTATIONS = Path("val", "val_annotations.txt")


def find(path: Path) -> Path | None:
    """Return the folder with train/ and val/val_annotations.txt, ``path`` or one in it."""
    places = (path, path / FOLDER)
    return next((p for p in places if (p / ANNOTATIONS).is_file() and (p / "train").is_dir()), None)


def load(root: Path, name: str, size: int | None = None) -> Source:
    """Return Tiny-ImageNet from ``root``, called by its own name; classes are WordNet ids, sorted.

    The test split is val, in the order of its annotations; the published test images have no
    labels. Raises SourceError where annotations and images do not fit.
    """
    train = imagefolder.load(root, NAME, size)
    splits: dict[str, Callable[[], Split]] = {
        "train": lambda: train.train,
        "test": partial(_val, root, train.classes, size),
    }
    return Source(NAME, train.classes, splits, where=root, by_class=train.by_class)


def _val(root: Path, classes: tuple[str, ...], size: int | None) -> Split:
    listed, folder = root / ANNOTATIONS, root / "val" / "images"
    # A name from the annotations is only ever compared with what lies in the folder.
    there = {path.name: path for path in folder.iterdir()} if folder.is_dir() else {}
    numbers = {name: number for number, name in enumerate(classes)}
    files, labels = [], []
    for at, line in enumerate(listed.read_text("utf-8", "replace").splitlines(), 1):
        file, label = [*line.split("\t"), "", ""][:2]
        if file not in there:
            raise SourceError(f"{listed} line {at}: {file[:80]!r} does not lie in {folder}")
        if label not in numbers:
            raise SourceError(
                f"{listed} line {at}: {label[:80]!r} is no folder of {root / 'train'}"
            )
        files.append(there.pop(file))
        labels.append(numbers[label])
    if there:
        raise SourceError(f"{next(iter(there.values()))}: has no line in {listed}; remove it")
    return read_split(files, labels, size)
