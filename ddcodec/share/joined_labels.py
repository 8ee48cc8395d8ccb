"""Labels of files that are joined or cut: more classes, or fewer.

Class indices int32 (N,), soft labels float32 (N, classes), or those of mosaics: a symbol of one
byte for each region and class (``codecs.shared.labels``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..codecs.shared.rules import NOTHING
from ..format import DDSetFile


def widened(file: DDSetFile, classes: tuple[str, ...], kind: str, regions: int) -> NDArray[Any]:
    """Return the labels of a file for more classes, as labels of a ``kind`` (``labels.kind``).

    ``regions`` of an image have symbols each, where the kind has symbols.
    """
    labels = file.arrays["labels"]
    if kind == "top":
        return labels
    numbers = np.array([classes.index(name) for name in file.manifest.classes], np.int32)
    if kind == "index":
        return np.asarray(numbers[labels])
    if kind == "soft":
        wide = np.zeros((len(labels), len(classes)), np.float32)
    else:
        wide = np.full((len(labels), regions, len(classes)), NOTHING, np.uint8)
    all_of_it = 1 if kind == "soft" else 0  # a symbol of 0 is the largest weight
    if labels.ndim == 1:
        wide[np.arange(len(labels)), ..., numbers[labels]] = all_of_it
    else:
        wide[..., numbers] = labels
    return wide


def narrowed(labels: NDArray[Any], numbers: NDArray[np.int64]) -> NDArray[Any]:
    """Return labels of some rows with the classes in ``numbers`` alone."""
    if labels.ndim == 1:
        place = np.full(int(numbers.max()) + 1, -1, np.int32)
        place[numbers] = np.arange(len(numbers))
        return np.asarray(place[labels])
    found = np.ascontiguousarray(labels[..., numbers])
    if labels.ndim == 3:
        # The largest weight of a label is its unit, symbol 0; ratios stay as they are.
        found = np.where(found == NOTHING, NOTHING, found - found.min(2, keepdims=True))
        empty = (found == NOTHING).all(2)
        found[empty] = 0  # a region that showed none of these classes alone
    return found.astype(labels.dtype)


def best_of(labels: NDArray[Any]) -> NDArray[np.int64]:
    """Return the class of each stored image; of a mosaic that of its last region, all of it."""
    if labels.ndim == 1:
        return labels.astype(np.int64)
    best: NDArray[np.int64] = labels.argmax(1) if labels.ndim == 2 else labels[:, -1].argmin(1)
    return best
