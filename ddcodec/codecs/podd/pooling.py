"""From the cells of a label array to the labels of patches, in arithmetic that is exact anywhere.

How much each cell counts in a patch follows from whole pixels; labels are float64 sums in a fixed
order, rounded once. So a decode gives the same float32 rows on every machine.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidFile, UsageError
from ..shared.grid import cell_edges
from .poster import PosterGeometry
from .rules import POOLINGS

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def pixel_counts(geometry: PosterGeometry, grid: tuple[int, int]) -> Ints:
    """Return the pixels each patch shares with each cell of a grid (x, y): int64 (P, cells).

    Cells are row-major; patches are in patch order (x outer, y inner).
    """
    g, (grid_x, grid_y) = geometry, grid
    return _product(
        _shared(g.width, grid_x, g.origins_x, g.patch_w),
        _shared(g.height, grid_y, g.origins_y, g.patch_h),
    )


def pooling_weights(geometry: PosterGeometry, grid: tuple[int, int], pooling: str) -> Floats:
    """Return how much each cell of a label array counts in each patch: float64 (P, cells).

    - ``area``, the paper's: the pixels that patch and cell share.
    - ``cell``: the one cell at the patch's place in the patch grid, floor((2 i + 1) cells /
      (2 patches)) along each axis. Every cell has a patch wherever there are at least as many
      patches as cells, which the cells under the patches' centres do not grant.

    Labels are normalised after pooling, so only the ratios within a row matter.
    """
    if pooling == "area":
        return pixel_counts(geometry, grid).astype(np.float64)
    if pooling != "cell":
        raise UsageError(f"unknown label pooling '{pooling}'; use one of: {', '.join(POOLINGS)}")
    across, down = (
        np.eye(cells, dtype=np.int64)[places(cells, patches)]
        for cells, patches in zip(grid, (geometry.patches_x, geometry.patches_y), strict=True)
    )
    return _product(across, down).astype(np.float64)


def pool(array: NDArray[np.float32], weights: Floats) -> NDArray[np.float32]:
    """Return the label of every patch, float32 (P, n), from a label array (..., n) >= 0.

    ``array`` holds one row for each column of ``weights``, row-major. Sums run over the cells in
    order, in float64; each row is then divided by its sum, taken over the classes in order, and
    rounded once. A patch whose cells are all zero gets the uniform label.

    Raises InvalidFile for a value that is negative, infinite or no number.
    """
    n = array.shape[-1]
    cells = array.reshape(-1, n).astype(np.float64)
    if not (np.isfinite(cells).all() and (cells >= 0).all()):
        raise InvalidFile("tensor 'labels': values must be finite and at least 0")
    total = np.zeros((len(weights), n), dtype=np.float64)
    if (np.count_nonzero(weights, axis=1) == 1).all():  # one cell a patch: nothing to add up
        only = weights.argmax(axis=1)
        total += weights[np.arange(len(weights)), only, None] * cells[only]
        cells = cells[:0]
    for cell, row in enumerate(cells):  # a fixed order of additions; BLAS promises none
        patches = np.flatnonzero(weights[:, cell])
        total[patches] += weights[patches, cell, None] * row
    mass = np.zeros(len(total), dtype=np.float64)
    for column in total.T:
        mass += column
    empty = mass == 0
    total[empty], mass[empty] = 1.0, float(n)
    total /= mass[:, None]
    return total.astype(np.float32)


def places(cells: int, count: int) -> Ints:
    """Return the cell of an axis under the centre of each of ``count`` equal parts: int64 (count,).

    Every cell is under one where there are at least as many parts as cells.
    """
    return (2 * np.arange(count, dtype=np.int64) + 1) * cells // (2 * count)


def _product(across: Ints, down: Ints) -> Ints:
    weights: Ints = across[:, None, None, :] * down[None, :, :, None]
    return weights.reshape(len(across) * len(down), -1)  # (p_x, p_y, grid_y, grid_x)


def _shared(length: int, cells: int, starts: tuple[int, ...], size: int) -> Ints:
    """Return how many pixels each window [start, start + size) shares with each cell."""
    edges = np.asarray(cell_edges(length, cells), dtype=np.int64)
    begin = np.asarray(starts, dtype=np.int64)[:, None]
    shared: Ints = np.diff(np.clip(edges[None, :] - begin, 0, size), axis=1)
    return shared
