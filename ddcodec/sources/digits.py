"""The real 8x8 handwritten digits inside this package: 1,400 to train, 397 to test.

From the UCI data set "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak, 1998), under
CC BY 4.0; digits.LICENSE.txt says more.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .base import Source
from .split import Split

TEST_IMAGES = 397
TERMS = (
    '"Optical Recognition of Handwritten Digits" by E. Alpaydin and C. Kaynak (1998), UCI Machine '
    "Learning Repository, https://doi.org/10.24432/C50P49, under CC BY 4.0"
)


def load(size: int | None = None) -> Source:
    """Return the source, its images scaled to ``size`` where that is given."""
    return Source(
        "digits",
        tuple("0123456789"),
        {"train": lambda: _splits()[0], "test": lambda: _splits()[1]},
        size=size,
    )


def are_source(made: Mapping[str, Any]) -> bool:
    """Say whether a file whose manifest has the ``source`` ``made`` was made from these digits.

    Not the name tells but the digest, and of images of up to 64 pixels only.
    """
    size = made.get("size")
    if made.get("name") != "digits" or (size or 0) > 64:
        return False
    return load(size).is_that_of(str(made.get("digest", "-")))


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
    """Return the table (1797, 65) of 64 pixels and a label."""
    text = gzip.decompress(files(__package__).joinpath("digits.csv.gz").read_bytes())
    values = text.replace(b"\n", b",").removesuffix(b",").split(b",")
    return np.array(values, np.int64).reshape(-1, 65)
