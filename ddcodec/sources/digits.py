"""The real 8x8 handwritten digits that scikit-learn bundles: 1,400 to train, 397 to test.

From the UCI data set "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak, 1998).
"""

from __future__ import annotations

import hashlib
import importlib.util
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import MissingExtra
from .base import Source, Split

TEST_IMAGES = 397


def load(size: int | None = None) -> Source:
    """Return the source, its images scaled to ``size`` where that is given.

    Raises MissingExtra without scikit-learn.
    """
    if importlib.util.find_spec("sklearn") is None:
        raise MissingExtra("scikit-learn, which holds the digits,", "data")
    return Source(
        "digits",
        tuple("0123456789"),
        {"train": lambda: _splits()[0], "test": lambda: _splits()[1]},
        size=size,
    )


@cache
def _splits() -> tuple[Split, Split]:
    rows = _rows()
    # Values run from 0 to 16; the nearest of 256 levels.
    images = ((rows[:, :64] * 255 + 8) // 16).astype(np.uint8).reshape(-1, 8, 8, 1)
    # A hash is the same in every version of every library; a generator's stream may not be.
    hashes = [hashlib.sha256(b"ddcodec digits %d" % index).digest() for index in range(len(rows))]
    order = np.asarray(sorted(range(len(rows)), key=hashes.__getitem__))
    train, test = order[:-TEST_IMAGES], order[-TEST_IMAGES:]
    labels = rows[:, 64]
    return Split(images[train], labels[train]), Split(images[test], labels[test])


def _rows() -> NDArray[np.int64]:
    """Return scikit-learn's table (1797, 65) of 64 pixels and a label."""
    # Its file is read as it lies: to import the library takes a second and all of scipy.
    spec = importlib.util.find_spec("sklearn")
    for root in (spec and spec.submodule_search_locations) or ():
        path = Path(root, "datasets", "data", "digits.csv.gz")
        if path.is_file():
            return np.loadtxt(path, delimiter=",", dtype=np.int64)
    from sklearn.datasets import load_digits

    bundled = load_digits()
    return np.column_stack([bundled.data, bundled.target]).astype(np.int64)
