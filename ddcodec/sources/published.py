"""Tiny-ImageNet as Stanford and CUB-200-2011 as Caltech publish them: images and tables of them.

A name from a table is only ever compared with what lies in the folder.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from ..errors import SourceError
from . import imagefolder
from .base import Source
from .images import read_split
from .named import KNOWN
from .spelling import text_lines
from .split import Split

ANNOTATIONS = Path("val", "val_annotations.txt")
TABLES = ("images.txt", "image_class_labels.txt", "train_test_split.txt", "classes.txt")


def load_tiny_imagenet(path: Path, name: str, size: int | None = None) -> Source | None:
    """Return Tiny-ImageNet from ``path`` or the folder in it; classes are WordNet ids, sorted.

    The test split is val, in the order of its annotations; the published test images have no
    labels. Raises SourceError where annotations and images do not fit.
    """
    name = "tiny-imagenet"  # whatever the folder is called
    for root in (path, path / "tiny-imagenet-200"):
        if (root / ANNOTATIONS).is_file() and (train := imagefolder.load(root, name, size)):
            return Source(
                name,
                train.classes,
                {"train": lambda: train.train, "test": partial(_val, root, train.classes, size)},
                root,
                train.streamed,
                None,
                "val/ by its annotations",
                train.passed,
            )
    return None


def _val(root: Path, classes: tuple[str, ...], size: int | None) -> Split:
    listed, folder = root / ANNOTATIONS, root / "val" / "images"
    there = {path.name: path for path in folder.iterdir()} if folder.is_dir() else {}
    numbers = {name: number for number, name in enumerate(classes)}
    files, labels = [], []
    for at, line in enumerate(text_lines(listed), 1):
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


def load_cub200(path: Path, name: str, size: int | None = None) -> Source | None:
    """Return CUB-200-2011 from ``path`` or the folder in it, in squares of ``size`` (32).

    Class names are those of classes.txt. Raises SourceError where a table is not as published.
    """
    places = (path, path / "CUB_200_2011")
    root = next((p for p in places if all((p / table).is_file() for table in TABLES)), None)
    if root is None:
        return None
    name = "cub200"  # whatever the folder is called
    files, labels, training, names = (_table(root / table) for table in TABLES)
    order = [str(n) for n in range(1, len(names) + 1)]
    if names.keys() != set(order):
        raise SourceError(f"{root / TABLES[3]}: does not number the classes 1, 2, 3, ...")
    for table, entries in ((TABLES[1], labels), (TABLES[2], training)):
        if entries.keys() != files.keys():
            raise SourceError(f"{root / table}: does not list the same images as {TABLES[0]}")
    splits = {}
    for split, mark in (("train", "1"), ("test", "0")):
        chosen = [image for image in files if training[image] == mark]
        pairs = [(files[image], labels[image]) for image in chosen]
        splits[split] = partial(_read, root, pairs, names, size or KNOWN[name].size)
    return Source(name, tuple(names[n] for n in order), splits, where=root)


def _read(
    root: Path, pairs: list[tuple[str, str]], names: dict[str, str], size: int | None
) -> Split:
    there = {p.relative_to(root / "images").as_posix(): p for p in (root / "images").glob("*/*")}
    for file, label in pairs:
        if file not in there:
            raise SourceError(f"{root / 'images'}: lacks {file[:120]!r}, which {TABLES[0]} lists")
        if label not in names:
            raise SourceError(f"{root / TABLES[1]}: class {label[:20]!r} is not in {TABLES[3]}")
    return read_split([there[file] for file, _ in pairs], [int(n) - 1 for _, n in pairs], size)


def _table(path: Path) -> dict[str, str]:
    """Return the lines "<number> <rest>" of a table, in their order."""
    rows: dict[str, str] = {}
    for at, line in enumerate(text_lines(path), 1):
        key, _, rest = line.strip().partition(" ")
        if not rest or key in rows:
            raise SourceError(f"{path} line {at}: is not a number and a word, or is there twice")
        rows[key] = rest
    if not rows:
        raise SourceError(f"{path}: is empty")
    return rows
