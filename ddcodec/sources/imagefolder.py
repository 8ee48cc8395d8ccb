"""The ImageFolder layout: root/train/<class>/*.png and root/test/<class>/*.png (or val).

Or class folders alone, root/<class>/*.png, which are all to train on.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import SourceError
from .archive import is_archive
from .base import Source
from .by_class import ReadByClass
from .complete import is_unfinished, require_finished
from .images import Item, is_image, read_split
from .spelling import plain
from .split import TESTS, ByClass, Split

SUFFIXES = frozenset((
    ".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".avif", ".bmp", ".dib", ".gif",
    ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm",
))  # fmt: skip
# Never images, whatever their first bytes look like; others are looked into.
TEXTS = frozenset((
    ".txt", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".md", ".html", ".htm",
    ".ini", ".db", ".log",
))  # fmt: skip
CONVERT = {suffix: f"{suffix} (convert them to PNG or JPEG)" for suffix in (".heic", ".heif")}
# What archivers and systems leave behind.
LEFT = frozenset({"__macosx", "@eadir", "lost+found", "$recycle.bin", "system volume information"})
TRAINS = ("train", "training")
# Folders of data sets for other tasks, which hold images but name no class.
NO_CLASSES = frozenset({"images", "annotations", "labels", "masks", "img", "imgs"})

Passed = Counter[str]


def load(root: Path, name: str, size: int | None = None) -> Source | None:
    """Return the source in ``root``; classes are the folders of train/, in sorted order.

    Images may lie deeper in a class folder; links to folders in a class are not followed. All
    images are grey, or all are made RGB; ``size`` makes them squares. A file is an image by its
    suffix, or by its content where the suffix says nothing; others are passed over. A class may be
    absent from the test folder, which is test (or testing), val, validation or valid, the first
    that has class folders; one more of them is kept for validation.
    """
    passed = Passed()
    train = _split_folder(root, TRAINS)
    inside = list(train.iterdir()) if train is not None else None
    # A train folder of archives alone belongs to WebDataset.
    if inside is None or (any(map(is_archive, inside)) and not any(e.is_dir() for e in inside)):
        return None
    assert train is not None
    classes = _class_folders(train)
    if not classes:
        raise _no_classes(train, "<class>")
    notes: list[str] = []
    splits = {"train": partial(_read, train, classes, size, passed, notes)}
    found = {name: folder for name in TESTS if (folder := _split_folder(root, _names(name)))}
    # A test folder without classes holds images without labels, as in many competitions.
    labelled = [name for name in found if set(classes) & set(_class_folders(found[name]))]
    tested_on = ""
    if found:
        test = next(iter(labelled or found))
        splits["test"] = partial(_read, found[test], classes, size, passed)
        tested_on = f"{found[test].name}/"
        if test != "test":
            why = "has no class folders" if "test" in found else "is not there"
            tested_on += f", since test/ {why}"
        if len(labelled) > 1:
            splits["validation"] = partial(_read, found[labelled[1]], classes, size, passed)
    by_class = partial(_by_class, train, classes, size, passed, notes)
    return Source(name, tuple(classes), splits, root, by_class, None, tested_on, passed, notes)


def load_unsplit(root: Path, name: str, size: int | None = None) -> Source | None:
    """Return the source of class folders that lie in ``root`` itself; all images are to train on.

    Raises SourceError for folders that hold images but are no classes.
    """
    if not root.is_dir() or _split_folder(root, TRAINS):
        return None
    folders = _class_folders(root)
    holding = [name for name, folder in folders.items() if _holds_images(folder)]
    if len(holding) < 2:
        return None
    odd = [n for n in holding if n.lower() in NO_CLASSES or _is_split(n)]
    if odd:
        raise SourceError(
            f"{root}: '{odd[0]}' is no name of a class, and there is no train folder; put images "
            f"at {root / '<class>' / '<image>.png'}, or in such folders under train and test"
        )
    passed = Passed()
    notes: list[str] = []
    read = partial(_read, root, folders, size, passed, notes)
    by_class = partial(_by_class, root, folders, size, passed, notes)
    return Source(name, tuple(folders), {"train": read}, root, by_class, None, "", passed, notes)


def _names(test: str) -> tuple[str, ...]:
    return ("test", "testing") if test == "test" else (test,)


def _is_split(name: str) -> bool:
    return name.lower() in (*TESTS, *TRAINS, "testing")


def _split_folder(root: Path, names: tuple[str, ...]) -> Path | None:
    """Return the folder of a split, which may be spelt Train or TEST; a plain name comes first."""
    if not root.is_dir():
        return None
    inside = sorted(entry.name for entry in root.iterdir() if entry.name.lower() in names)
    inside.sort(key=lambda name: (name not in names, names.index(name.lower())))
    return next((root / name for name in inside if (root / name).is_dir()), None)


def _by_class(
    folder: Path, classes: dict[str, Path], size: int | None, passed: Passed, notes: list[str]
) -> ByClass:
    passed.clear()
    files = [_images(inside, passed) for inside in classes.values()]
    notes[:] = _notes(classes.values(), files)

    def items(label: int, index: NDArray[np.int64]) -> list[Item]:
        return [(str(files[label][i]), files[label][i]) for i in index.tolist()]

    def every() -> Iterator[Item]:
        return ((str(file), file) for found in files for file in found)

    def facts() -> Iterator[bytes]:
        for name, found in zip(classes, files, strict=True):
            yield name.encode() + b"\0"
            for file in found:
                yield os.fsencode(file.relative_to(folder).as_posix()) + b"\0"
                yield b"%d\0" % file.stat().st_size

    first = [(str(found[0]), found[0]) for found in files]
    return ReadByClass([len(found) for found in files], items, first, every, size, facts)


def _read(
    folder: Path,
    classes: dict[str, Path],
    size: int | None,
    passed: Passed,
    notes: list[str] | None = None,
) -> Split:
    files: list[list[Path]] = []
    labels: list[int] = []
    passed.clear()  # of a pool that was looked at before
    passed["beside the class folders"] = sum(
        entry.suffix.lower() in SUFFIXES and entry.is_file() for entry in folder.iterdir()
    )
    number = {name: label for label, name in enumerate(classes)}
    for name, inside in _class_folders(folder).items():
        if name not in number:
            alike = [known for known in number if known.casefold() == name.casefold()]
            there = f", where it is '{alike[0]}'" if alike else ""
            raise SourceError(
                f"{inside}: is no class of the train folder{there}; rename or remove it"
            )
        found = _images(inside, passed)
        files.append(found)
        labels += [number[name]] * len(found)
    if not files:
        raise _no_classes(folder, next(iter(classes)))
    if notes is not None:
        notes[:] = _notes(classes.values(), files)
    return read_split(list(chain.from_iterable(files)), labels, size)


def _notes(classes: Iterable[Path], files: Iterable[list[Path]]) -> list[str]:
    """Say so where all images lie in folders within the classes, which might be meant as such."""
    example = ""
    for folder, found in zip(classes, files, strict=True):
        inside = [file.relative_to(folder).parts for file in found]
        within = sorted({parts[0] for parts in inside if len(parts) > 1})
        if len(within) < 2 or any(len(parts) == 1 for parts in inside):
            return []
        example = example or f"{folder.name}/{within[0]}"
    return [f"folders within these, as {example}, are no classes"]


def _no_classes(folder: Path, example: str) -> SourceError:
    return SourceError(
        f"{folder}: has no class folders; put images at {folder / example / '<image>.png'}"
    )


def _class_folders(folder: Path) -> dict[str, Path]:
    """Return the folders of classes by their names in normal form, sorted by these."""
    found: dict[str, Path] = {}
    entries = [e for e in folder.iterdir() if not e.name.startswith(".")]
    for entry in sorted(entries, key=lambda entry: (plain(entry.name), entry.name)):
        if entry.is_symlink() and not entry.exists():
            raise SourceError(f"{entry}: is a link that leads nowhere; repair or remove it")
        if is_unfinished(entry):
            require_finished(entry)
        if not entry.is_dir() or entry.name.lower() in LEFT:
            continue
        name = plain(entry.name)
        if name in found:
            raise SourceError(
                f"{entry}: is called as {found[name].name!r} is, in another Unicode form; put the "
                "images of both into one folder"
            )
        found[name] = entry
    return found


def _holds_images(folder: Path) -> bool:
    return any(is_named_image(Path(name)) for _, _, files in os.walk(folder) for name in files)


def is_named_image(file: Path) -> bool:
    """Say whether a file is an image by its name."""
    return file.suffix.lower() in SUFFIXES and not file.name.startswith(".")


def _images(folder: Path, passed: Passed) -> list[Path]:
    """Return the images in a class folder, sorted; what is none is counted in ``passed``."""
    found, other = [], Passed()
    for where, folders, files in os.walk(folder):
        hidden = [name for name in folders if name.startswith(".") or name.lower() in LEFT]
        folders[:] = [name for name in folders if name not in hidden]
        for name in files:
            path, suffix = Path(where, name), Path(name).suffix.lower()
            if name.startswith("."):
                other["hidden"] += 1
            elif suffix in TEXTS:
                other[suffix] += 1
            elif not path.is_file():
                raise SourceError(f"{path}: is a broken link or no regular file; remove it")
            elif is_unfinished(path):
                require_finished(path)
            elif suffix in SUFFIXES or is_image(path):
                found.append(path)
            else:
                other[CONVERT.get(suffix, suffix or "without a suffix that are no images")] += 1
    passed.update(other)
    if not found:
        skipped = f" that can be read, only {', '.join(sorted(other))}" if other else ""
        raise SourceError(
            f"{folder}: class '{folder.name}' has no images{skipped}; add some or remove the folder"
        )
    return sorted(found)
