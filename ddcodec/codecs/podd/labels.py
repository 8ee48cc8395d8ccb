"""PoDDL: the soft label of every patch, fixed or learned (paper section 4.3), in exact arithmetic.

Fixed labels follow from the class order alone. Learned labels are an array of cells x classes
that is pooled over each patch. Both give float32 rows that are the same on every machine: integer
counts, float64 sums, one rounding.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError
from .order import ClassOrder
from .poster import PosterGeometry, cell_edges


def overlap_counts(length: int, cells: int, starts: tuple[int, ...], size: int) -> NDArray[np.int64]:
    """Return how many pixels each window [start, start + size) shares with each cell.

    int64 (windows, cells); rows sum to ``size``.
    """
    edges = np.asarray(cell_edges(length, cells), dtype=np.int64)
    begin = np.asarray(starts, dtype=np.int64)[:, None]
    low = np.maximum(edges[None, :-1], begin)
    high = np.minimum(edges[None, 1:], begin + size)
    return np.maximum(high - low, 0)


def pixel_counts(geometry: PosterGeometry, grid: tuple[int, int]) -> NDArray[np.int64]:
    """Return the pixels each patch shares with each cell of a grid (x, y): int64 (P, cells).

    Cells are row-major; patches are in patch order (x outer, y inner).
    """
    g, (grid_x, grid_y) = geometry, grid
    across = overlap_counts(g.width, grid_x, g.origins_x, g.patch_w)  # (p_x, grid_x)
    down = overlap_counts(g.height, grid_y, g.origins_y, g.patch_h)  # (p_y, grid_y)
    counts = across[:, None, None, :] * down[None, :, :, None]  # (p_x, p_y, grid_y, grid_x)
    return counts.reshape(g.num_patches, grid_y * grid_x)


def pooling_weights(
    geometry: PosterGeometry, grid: tuple[int, int], pooling: str
) -> NDArray[np.float64]:
    """Return the weight of each label cell in each patch: float64 (P, cells), rows sum to 1.

    ``area`` is the paper's: the share of the patch's pixels in each cell. ``cell`` gives a patch
    the one cell at its place in the patch grid, floor((2 i + 1) cells / (2 patches)) along each
    axis, so every cell has a patch wherever there are at least as many patches as cells.
    """
    if pooling == "area":
        area = geometry.patch_h * geometry.patch_w
        return pixel_counts(geometry, grid) / np.float64(area)
    if pooling != "cell":
        raise UsageError(f"unknown label pooling '{pooling}'; use area or cell")
    g, (grid_x, grid_y) = geometry, grid
    columns = (2 * np.arange(g.patches_x) + 1) * grid_x // (2 * g.patches_x)
    rows = (2 * np.arange(g.patches_y) + 1) * grid_y // (2 * g.patches_y)
    cells = (rows[None, :] * grid_x + columns[:, None]).reshape(-1)
    return np.eye(grid_x * grid_y, dtype=np.float64)[cells]


def pool(array: NDArray[np.float32], weights: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the label of every patch, float32 (P, n), from a label array (rows, columns, n).

    Sums run over the cells in order, in float64; each row is then divided by its sum and rounded
    once. A patch whose cells are all zero gets the uniform label; an encoder never writes one.
    """
    n = array.shape[-1]
    cells = array.reshape(-1, n).astype(np.float64)
    total = np.zeros((len(weights), n), dtype=np.float64)
    for cell, row in enumerate(cells):  # a fixed order of additions; BLAS promises none
        total += weights[:, cell, None] * row
    mass = np.zeros(len(total), dtype=np.float64)
    for column in range(n):
        mass += total[:, column]
    empty = mass == 0
    total[empty], mass[empty] = 1.0, float(n)
    return (total / mass[:, None]).astype(np.float32)


def fixed_labels(
    geometry: PosterGeometry, order: ClassOrder, classes: int
) -> NDArray[np.float32]:
    """Return one-hot majority labels, float32 (P, n); classes that tie share equally."""
    counts = pixel_counts(geometry, order.grid)
    by_class = np.zeros((geometry.num_patches, classes), dtype=np.int64)
    for cell, owner in enumerate(order.cells):
        by_class[:, owner] += counts[:, cell]
    winners = by_class == by_class.max(axis=1, keepdims=True)
    shares = winners / winners.sum(axis=1, keepdims=True).astype(np.float64)
    return shares.astype(np.float32)


def cell_owners(
    geometry: PosterGeometry, order: ClassOrder, grid: tuple[int, int]
) -> NDArray[np.int64]:
    """Return the class that each label cell begins with, int64 (cells,).

    On the class grid that is the class order itself. On another grid it is the class at the
    cell's place; a class that would own none takes the cell nearest to its own area.
    """
    grid_x, grid_y = grid
    if grid == order.grid:
        return np.asarray(order.cells, dtype=np.int64)
    columns = (2 * np.arange(grid_x) + 1) * order.grid[0] // (2 * grid_x)
    rows = (2 * np.arange(grid_y) + 1) * order.grid[1] // (2 * grid_y)
    cells = np.asarray(order.cells, dtype=np.int64).reshape(order.grid[1], order.grid[0])
    owners = cells[rows[:, None], columns[None, :]].reshape(-1)
    missing = set(order.cells) - set(owners.tolist())
    if missing:
        raise UsageError(
            f"a label array of {grid_x}x{grid_y} cells leaves {len(missing)} classes without one; "
            f"use at least {order.grid[0]}x{order.grid[1]} patches"
        )
    return owners


def initial_labels(owners: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    """Return the label array that learning starts from: one-hot, float32 (cells, n)."""
    return np.eye(classes, dtype=np.float32)[owners]


def project_labels(
    array: NDArray[np.float32], owners: NDArray[np.int64], floor: float
) -> NDArray[np.float32]:
    """Return labels (cells, n) that are valid and cannot collapse.

    Negative values become 0 (paper section 4.3), rows are scaled to sum 1, and where the share of
    a cell's owner fell below ``floor`` (> 1/n keeps the row from uniform) it is set to it and the
    others shrink in proportion. A row of zeros becomes one-hot again.
    """
    y = np.maximum(array, 0).astype(np.float64)
    index = np.arange(len(y))
    mass = y.sum(axis=1)
    y[mass == 0, owners[mass == 0]] = 1.0
    y /= y.sum(axis=1, keepdims=True)
    own = y[index, owners]
    low = own < floor
    shrink = (1 - floor) / np.maximum(1 - own[low], 1e-12)
    y[low] *= shrink[:, None]
    y[index[low], owners[low]] = floor
    return y.astype(np.float32)


def classes_without_patch(labels: NDArray[np.float32]) -> list[int]:
    """Return the classes that are the largest in no patch's label (P, n)."""
    top = labels.max(axis=1, keepdims=True)
    return np.flatnonzero(~(labels == top).any(axis=0)).tolist()
