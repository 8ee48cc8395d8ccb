"""The four idx files of MNIST and its kin (Fashion-MNIST, KMNIST), plain or gzipped."""

from __future__ import annotations

import gzip
import math
import zlib
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import SourceError, one_line
from .base import Source
from .checks import numbered_classes, require_memory, shape_text
from .complete import require_content, require_finished
from .named import KNOWN
from .split import Split

PREFIXES = {"train": "train", "test": "t10k"}
ENDINGS = {"images": "idx3-ubyte", "labels": "idx1-ubyte"}
# As published, and where torchvision puts them.
FOLDERS = ("", "raw", "MNIST/raw", "FashionMNIST/raw")


def load(path: Path, name: str, size: int | None = None) -> Source | None:
    """Return the source in ``path`` or a folder in it: grey images, train and, where present, t10k.

    Classes are called by their numbers, those of fashion-mnist by their names.
    """
    folders = (path / inner for inner in FOLDERS)
    folder = next((folder for folder in folders if _file(folder, "train", "images")), None)
    if folder is None:
        return None
    require_finished(folder)
    splits = {}
    for split in PREFIXES:
        images, labels = (_file(folder, split, what) for what in ENDINGS)
        require_content(path for path in (images, labels) if path)
        if images and labels:
            splits[split] = partial(_split, images, labels)
        elif images or labels or split == "train":
            lacking = "labels" if images else "images"
            raise SourceError(
                f"{folder}: has no {PREFIXES[split]}-{lacking}-{ENDINGS[lacking]}[.gz] for "
                f"{(images or labels or folder).name}; a split needs both"
            )
    classes = KNOWN[name].classes if name in KNOWN else ()
    if not classes:
        numbers = splits["train"].args[1]
        classes = numbered_classes(_read(numbers, 1), str(numbers))
    return Source(name, classes, splits, where=folder, size=size)


def _file(folder: Path, split: str, what: str) -> Path | None:
    # Both spellings are about: with a dot where the files were unpacked by some tools.
    stems = (f"{PREFIXES[split]}-{what}{joint}{ENDINGS[what]}" for joint in "-.")
    paths = (folder / f"{stem}{suffix}" for stem in stems for suffix in ("", ".gz"))
    return next((path for path in paths if path.is_file()), None)


def _split(images: Path, labels: Path) -> Split:
    pixels, numbers = _read(images, 3), _read(labels, 1)
    if len(pixels) != len(numbers):
        raise SourceError(f"{images}: holds {len(pixels)} images, {labels.name} {len(numbers)}")
    return Split(pixels[..., None], numbers.astype(np.int64))


def _read(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """Return the array in an idx file; raises SourceError unless it is uint8 and whole."""
    try:
        with path.open("rb") as raw, gzip.GzipFile(fileobj=raw) as unpacked:
            file = unpacked if path.suffix == ".gz" else raw
            head = file.read(4 + 4 * dimensions)
            if head[:4] != bytes([0, 0, 8, dimensions]) or len(head) < 4 + 4 * dimensions:
                raise SourceError(
                    f"{path}: is no idx file of bytes in {dimensions} dimensions; fetch it again"
                )
            shape = tuple(int(n) for n in np.frombuffer(head[4:], ">u4"))
            size = math.prod(shape)
            require_memory(size, str(path))
            content = file.read(size + 1)
    except (OSError, EOFError, zlib.error, OverflowError) as error:
        raise SourceError(f"{path}: cannot be read: {one_line(error)}") from None
    if len(content) != size:
        more = "more" if len(content) > size else f"{len(content):,}"
        raise SourceError(
            f"{path}: should hold {size:,} bytes for {shape_text(shape)}, holds {more}; "
            "fetch it again"
        )
    return np.frombuffer(content, np.uint8).reshape(shape)
