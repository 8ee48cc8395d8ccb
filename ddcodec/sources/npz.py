"""One ``.npz`` file: train_images, train_labels, test_images, test_labels, class_names."""

from __future__ import annotations

import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SourceError
from .base import Source, Split


def load(path: Path) -> Source:
    """Return the source in ``path``. Images are uint8 (N, H, W) or (N, H, W, C)."""
    keys = _keys(path)
    for key in ("train_images", "train_labels"):
        if key not in keys:
            raise SourceError(f"{path}: has no array '{key}'; it holds {', '.join(sorted(keys))}")
    labels = _array(path, "train_labels")
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or len(labels) == 0:
        raise SourceError(
            f"{path}: train_labels are {labels.dtype} {labels.shape}; they must be integers (N,)"
        )
    classes = tuple(str(i) for i in range(int(labels.max()) + 1))
    if "class_names" in keys:
        names = _array(path, "class_names")
        if names.ndim != 1 or names.dtype.kind != "U" or len(set(names.tolist())) != len(names):
            raise SourceError(f"{path}: class_names must be distinct strings (n,)")
        classes = tuple(names.tolist())
    splits = {"train": partial(_split, path, "train")}
    if {"test_images", "test_labels"} <= keys:
        splits["test"] = partial(_split, path, "test")
    return Source(path.stem, classes, splits)


def _split(path: Path, name: str) -> Split:
    images, labels = _array(path, f"{name}_images"), _array(path, f"{name}_labels")
    if images.dtype != np.uint8 or images.ndim not in (3, 4):
        raise SourceError(
            f"{path}: {name}_images are {images.dtype} {images.shape}; "
            "they must be uint8 (N, H, W) or (N, H, W, C)"
        )
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise SourceError(f"{path}: {name}_labels must be integers (N,)")
    if images.ndim == 3:
        images = images[..., None]
    return Split(np.ascontiguousarray(images), labels.astype(np.int64))


def _keys(path: Path) -> set[str]:
    try:
        with np.load(path, allow_pickle=False) as file:
            if not hasattr(file, "files"):
                raise SourceError(f"{path}: holds one array, not the named arrays of an .npz")
            return set(file.files)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        raise SourceError(f"{path}: cannot be read as an .npz file") from None


def _array(path: Path, name: str) -> NDArray[Any]:
    try:
        with np.load(path, allow_pickle=False) as file:
            array: NDArray[Any] = file[name]
            return array
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
        raise SourceError(f"{path}: array '{name}' cannot be read (objects are refused)") from None
