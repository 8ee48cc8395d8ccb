"""CUB-200-2011 as Caltech publishes it: images of any size and four tables that go with them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from ..errors import SourceError
from .base import Source, Split
from .images import read_split
from .named import KNOWN

NAME, FOLDER = "cub200", "CUB_200_2011"
TABLES = ("images.txt", "image_class_labels.txt", "train_test_split.txt", "classes.txt")


def find(path: Path) -> Path | None:
    """Return the folder with the four tables, ``path`` or one in it, else None."""
    places = (path, path / FOLDER)
    return next((p for p in places if all((p / table).is_file() for table in TABLES)), None)


def load(root: Path, name: str, size: int | None = None) -> Source:
    """Return CUB-200-2011 from ``root``, called by its own name, in squares of ``size`` (32).

    Class names are those of classes.txt. Raises SourceError where a table is not as published.
    """
    files, labels, training, names = (_table(root / table) for table in TABLES)
    order = sorted(names, key=_number)
    if order != [str(n) for n in range(1, len(order) + 1)]:
        raise SourceError(f"{root / TABLES[3]}: does not number the classes 1, 2, 3, ...")
    for table, entries in ((TABLES[1], labels), (TABLES[2], training)):
        if entries.keys() != files.keys():
            raise SourceError(f"{root / table}: does not list the same images as {TABLES[0]}")
    splits = {}
    for split, mark in (("train", "1"), ("test", "0")):
        chosen = [image for image in files if training[image] == mark]
        pairs = [(files[image], labels[image]) for image in chosen]
        splits[split] = partial(_read, root, pairs, names, size or KNOWN[NAME].size)
    return Source(NAME, tuple(names[n] for n in order), splits, where=root)


def _read(
    root: Path, pairs: list[tuple[str, str]], names: dict[str, str], size: int | None
) -> Split:
    # A name from a table is only ever compared with what lies in the folder.
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
    for at, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1):
        key, _, rest = line.strip().partition(" ")
        if not rest or key in rows:
            raise SourceError(f"{path} line {at}: is not a number and a word, or is there twice")
        rows[key] = rest
    if not rows:
        raise SourceError(f"{path}: is empty")
    return rows


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 10 else 0
