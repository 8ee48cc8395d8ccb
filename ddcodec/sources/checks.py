"""What every source promises, checked: arrays, labels, names, memory. A broken one is one line."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SourceError, one_line
from ..format.values import is_text, shown
from ..runtime.memory import machine_memory
from .split import Split


@contextmanager
def one_line_errors(where: str) -> Iterator[None]:
    """Turn an error of the system in the body into a SourceError that begins with ``where``."""
    try:
        yield
    except OSError as error:
        inside = f" ({error.filename})" if str(error.filename or where) not in where else ""
        raise SourceError(f"{where}: cannot be read: {one_line(error)}{inside}") from None


def check_split(split: Split, classes: int, where: str) -> None:
    """Raise SourceError, beginning with ``where``, unless the arrays keep their promise."""
    images, labels = split.images, split.labels
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3):
        told = f"{where}: images are {images.dtype} {shape_text(images.shape)}"
        way = ""
        if images.ndim == 4 and images.shape[1] in (1, 3):
            way = "; move the channels to the end, as transpose(0, 2, 3, 1) does"
        elif images.ndim == 4 and images.shape[3] == 4:
            way = "; leave the fourth out"
        raise SourceError(f"{told}; they must be uint8 (N, H, W, C) with 1 or 3 channels{way}")
    if len(images) == 0:
        raise SourceError(f"{where}: has no images")
    if 0 in images.shape:
        raise SourceError(f"{where}: images of {shape_text(images.shape[1:])} hold no pixel")
    if labels.shape != (len(images),):
        raise SourceError(
            f"{where}: {len(images)} images but labels of shape {shape_text(labels.shape)}; "
            "give one label an image"
        )
    check_labels(labels, classes, where)


def check_labels(labels: NDArray[np.int64], classes: int, where: str) -> None:
    """Raise SourceError, beginning with ``where``, for a label that is no class."""
    outside = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(outside):
        at = int(outside[0])
        one = "; they begin at 1, so subtract it" if labels.min() == 1 else ""
        raise SourceError(
            f"{where}: label {labels[at]} of image {at} lies outside 0..{classes - 1}, "
            f"the numbers of the classes{one}"
        )


def check_complete(labels: NDArray[np.int64], classes: Sequence[str], where: str) -> None:
    """Raise SourceError, beginning with ``where``, for a class without images."""
    counts = np.bincount(labels, minlength=len(classes))
    if (counts == 0).any():
        empty = classes[int(np.argmin(counts))]
        way = "add some"
        if counts[0] == 0:
            way += f", or number the classes 0, 1, 2, ...: these labels begin at {labels.min()}"
        raise SourceError(f"{where}: class '{empty}' has no training image; {way}")


def numbered_classes(labels: NDArray[Any], where: str) -> tuple[str, ...]:
    """Return "0", "1", ... up to the largest label, for a source that names no classes.

    Raises SourceError where some of these classes could have no image.
    """
    low, top = (int(labels.min()), int(labels.max())) if len(labels) else (0, -1)
    if top < 0 or low < 0:
        problem = f"holds the label {low}" if low < 0 else "has no images"
        raise SourceError(f"{where}: {problem}; number the classes 0, 1, 2, ...")
    if top >= len(labels):
        raise SourceError(
            f"{where}: holds the label {top} but only {len(labels)} images, so a class has none; "
            "number the classes 0, 1, 2, ..."
        )
    return tuple(str(i) for i in range(top + 1))


def require_memory(size: int, where: str) -> None:
    """Raise SourceError, beginning with ``where``, if ``size`` bytes exceed the machine's memory.

    An operating system may promise such memory and kill the process when it is used.
    """
    there = machine_memory()
    if size > there > 0:
        raise SourceError(
            f"{where}: needs {size / 2**30:,.1f} GiB of memory, this machine has "
            f"{there / 2**30:,.1f}; use fewer or smaller images"
        )


def shape_text(shape: tuple[int, ...]) -> str:
    """Return a shape for people, as in 10x8x8."""
    return "x".join(map(str, shape)) or "()"


def path_name(path: Path) -> str:
    """Return the last part of a path, also of ``.`` and ``..``; links are not followed."""
    return Path(os.path.abspath(path)).name or "root"  # noqa: PTH100 (resolve follows links)


def check_names(where: str, source: str, classes: tuple[str, ...]) -> None:
    for name in (source, *classes):
        try:
            name.encode("utf-8")
        except UnicodeEncodeError:
            raise SourceError(f"{where!r}: the name {name!r} is not UTF-8; rename it") from None
        # A file could not hold it; better said now than after the work.
        if name and not is_text(name):
            raise SourceError(
                f"{where[:300]!r}: the name {shown(name)} has more than 200 characters, or "
                "characters that do not show; rename it"
            )
    if "" in classes:
        raise SourceError(f"{where}: class {classes.index('')} has an empty name; give it one")
    if len(set(classes)) != len(classes):
        twice = next(name for i, name in enumerate(classes) if name in classes[:i])
        raise SourceError(f"{where}: two classes are named '{twice}'; rename one")
