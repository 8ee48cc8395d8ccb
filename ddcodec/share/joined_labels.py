"""Labels of files that are joined or cut: more classes, or fewer.

Class indices int32 (N,), soft labels float32 (N, classes), or those of mosaics: a symbol of one
byte for each region and class (``codecs.shared.labels``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..codecs.lic.rules import regions_of
from ..codecs.shared.rules import NOTHING
from ..format import DDSetFile


def widened(file: DDSetFile, classes: tuple[str, ...], hard: bool) -> NDArray[Any]:
    """Return the labels of a file for more classes: indices where ``hard``, else soft ones."""
    manifest, labels = file.manifest, file.arrays["labels"]
    numbers = np.array([classes.index(name) for name in manifest.classes], np.int32)
    if labels.ndim == 1 and hard:
        return np.asarray(numbers[labels])
    symbols = manifest.codec["name"] == "lic"
    shape: tuple[int, ...] = (len(labels), len(classes))
    if symbols:
        shape = (len(labels), regions_of(manifest), len(classes))
    nothing, all_of_it = (NOTHING, 0) if symbols else (0, 1)
    wide = np.full(shape, nothing, np.uint8 if symbols else np.float32)
    if manifest.labels["kind"] == "top":
        return labels
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
