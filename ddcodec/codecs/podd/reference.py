"""The learned label arrays of PoDD's published code, to measure what they cost; no one's default.

The published code (github.com/AsafShul/PoDD, src/PoDDL.py) wants as many label cells as there are
classes, in the aspect of the poster, but takes only sizes with fewer: so rows or columns of
classes have no cell of their own, and no label begins with them.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from .order import ClassOrder
from .poster import EVEN, origins

Pair = tuple[int, int]


def reference_grid(poster: Pair, grid: Pair) -> Pair:
    """Return the cells (x, y) of the label array for a poster (height, width) and a class grid.

    For CIFAR-10 at 0.4 images per class that is 6x1, for CIFAR-100 on 303x303 pixels 9x10.
    """
    most = grid[0] * grid[1]
    # In floating point as there: which sizes of a square poster are left depends on the rounding.
    shrink = 1 / math.sqrt(poster[0] * poster[1] / most)
    rows, columns = poster[0] * shrink, poster[1] * shrink
    sizes = [
        (y, x) for y in (math.ceil(rows), int(rows)) for x in (math.ceil(columns), int(columns))
    ]
    fewer = [(y, x) for y, x in sizes if 0 < y * x < most]
    y, x = max(fewer, key=math.prod) if fewer else sizes[0]
    return x, y


def reference_owners(order: ClassOrder, grid: Pair) -> NDArray[np.int64]:
    """Return the class that each cell of the array (x, y) begins with, int64 (cells,)."""
    rows, columns = (
        _spread(g, cells) for g, cells in zip(order.grid[::-1], grid[::-1], strict=True)
    )
    return order.matrix()[rows[:, None], columns[None, :]].reshape(-1)


def _spread(along: int, cells: int) -> NDArray[np.int64]:
    # Class i of an axis has the cells from i cells / along, rounded, up to the next; maybe none.
    edges = origins(cells, 0, along + 1, EVEN)
    return np.repeat(np.arange(along), [b - a for a, b in pairwise(edges)])
