"""PoDDL: the soft label of every patch, fixed or learned (paper section 4.3), in exact arithmetic.

Fixed labels follow from the class order alone. Learned labels are an array of cells x classes
that is pooled over each patch. Both give float32 rows that are the same on every machine: integer
pixel counts as weights, float64 sums in a fixed order, one rounding.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidFile, UsageError
from .order import ClassOrder
from .poster import PosterGeometry, cell_edges


def overlap_counts(
    length: int, cells: int, starts: tuple[int, ...], size: int
) -> NDArray[np.int64]:
    """Return how many pixels each window [start, start + size) shares with each cell.

    int64 (windows, cells); rows sum to ``size``. A window that runs over ``length`` goes on at 0.
    """
    edges = np.asarray(cell_edges(length, cells), dtype=np.int64)
    begin = np.asarray(starts, dtype=np.int64)[:, None]
    shared = np.zeros((len(begin), cells), dtype=np.int64)
    for start in (begin, begin - length):
        low = np.maximum(edges[None, :-1], start)
        high = np.minimum(edges[None, 1:], start + size)
        shared += np.maximum(high - low, 0)
    return shared


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
    """Return the weight of each label cell in each patch: float64 (P, cells), whole numbers.

    ``area`` is the paper's: the pixels that the patch shares with the cell; rows sum to h w.
    ``cell`` gives a patch the one cell at its place in the patch grid, floor((2 i + 1) cells /
    (2 patches)) along each axis, weight 1. So every cell has a patch wherever there are at least
    as many patches as cells, which the cells under the patches' centres do not grant.
    Labels are normalised after pooling, so only the ratios within a row matter.
    """
    if pooling == "area":
        return pixel_counts(geometry, grid).astype(np.float64)
    if pooling != "cell":
        raise UsageError(f"unknown label pooling '{pooling}'; use area or cell")
    cells = _places(grid, (geometry.patches_x, geometry.patches_y))
    return np.eye(grid[0] * grid[1], dtype=np.float64)[cells.T.reshape(-1)]


def pool(array: NDArray[np.float32], weights: NDArray[np.float64]) -> NDArray[np.float32]:
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


def fixed_labels(geometry: PosterGeometry, order: ClassOrder, classes: int) -> NDArray[np.float32]:
    """Return one-hot majority labels, float32 (P, n); classes that tie share equally."""
    counts = pixel_counts(geometry, order.grid)
    by_class = np.zeros((geometry.num_patches, classes), dtype=np.int64)
    for cell, owner in enumerate(order.cells):
        by_class[:, owner] += counts[:, cell]
    winners = by_class == by_class.max(axis=1, keepdims=True)
    shares: NDArray[np.float64] = winners / winners.sum(axis=1, keepdims=True)
    return shares.astype(np.float32)


def cell_owners(order: ClassOrder, grid: tuple[int, int]) -> NDArray[np.int64]:
    """Return the class that each cell of a label array (x, y) begins with, int64 (cells,).

    On the class grid that is the class order itself; on another grid it is the class whose cell
    lies at the same place of the poster. Raises UsageError where a class would own none.
    """
    if grid == order.grid:
        return np.asarray(order.cells, dtype=np.int64)
    owners = np.asarray(order.cells, dtype=np.int64)[_places(order.grid, grid).reshape(-1)]
    missing = set(order.cells) - set(owners.tolist())
    if missing:
        raise UsageError(
            f"a label array of {grid[0]}x{grid[1]} cells leaves {len(missing)} classes without "
            f"one; use at least {order.grid[0]}x{order.grid[1]} patches"
        )
    return owners


def _places(grid: tuple[int, int], over: tuple[int, int]) -> NDArray[np.int64]:
    # The cell of ``grid`` under the centre of each cell of ``over`` laid across the same poster:
    # row-major indices (over_y, over_x), onto wherever ``over`` is at least as fine as ``grid``.
    columns = (2 * np.arange(over[0], dtype=np.int64) + 1) * grid[0] // (2 * over[0])
    rows = (2 * np.arange(over[1], dtype=np.int64) + 1) * grid[1] // (2 * over[1])
    return rows[:, None] * grid[0] + columns[None, :]


def initial_labels(owners: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    """Return the label array that learning starts from: one-hot, float32 (cells, n)."""
    return np.eye(classes, dtype=np.float32)[owners]


def project_labels(
    array: NDArray[np.float32], owners: NDArray[np.int64], floor: float
) -> NDArray[np.float32]:
    """Return labels (cells, n) that are valid and cannot collapse.

    Negative values become 0 (paper section 4.3) and rows are scaled to sum 1, which the paper
    leaves free. Where the share of a cell's owner is below ``floor`` it is set to it and the
    others shrink in proportion. A row of zeros becomes the owner's one-hot again.

    ``floor`` is from 0 (no floor) to 1; it must be more than 1/n to keep rows from uniform.
    """
    if not 0 <= floor <= 1:
        raise UsageError(f"a label floor must be from 0 to 1, got {floor:g}")
    y = np.maximum(array, 0).astype(np.float64)
    cells = np.arange(len(y))
    zero = y.sum(axis=1) == 0
    y[cells[zero], owners[zero]] = 1.0
    y /= y.sum(axis=1, keepdims=True)
    low = y[cells, owners] < floor
    y[cells[low], owners[low]] = 0
    y[low] *= (1 - floor) / y[low].sum(axis=1, keepdims=True)
    y[cells[low], owners[low]] = floor
    return y.astype(np.float32)


def first_labels(
    geometry: PosterGeometry,
    order: ClassOrder,
    classes: int,
    kind: str,
    pooling: str,
    grid: tuple[int, int],
) -> NDArray[np.float32]:
    """Return the label of every patch before any of them is learned, float32 (P, n).

    Fixed labels as they stay; of learned ones (``grid``, ``pooling``) those that learning starts
    from. A class that has no share of any is in no patch of the file.
    """
    if kind == "fixed":
        return fixed_labels(geometry, order, classes)
    weights = pooling_weights(geometry, grid, pooling)
    return pool(initial_labels(cell_owners(order, grid), classes), weights)


def label_entropy(labels: NDArray[np.float32]) -> float:
    """Return the mean entropy of label rows (P, n) over ln n: 0 is one-hot, 1 has collapsed."""
    n = labels.shape[1]
    p = labels.astype(np.float64)
    nats = -np.sum(p * np.log(np.where(p > 0, p, 1)), axis=1)
    return float(nats.mean() / np.log(n)) if n > 1 else 0.0


def classes_without_patch(labels: NDArray[np.float32]) -> list[int]:
    """Return the classes that are the largest (or tie for it) in no patch's label (P, n)."""
    top = labels.max(axis=1, keepdims=True)
    return [int(c) for c in np.flatnonzero(~(labels == top).any(axis=0))]
