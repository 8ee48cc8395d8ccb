"""PoDDL: the soft label of every patch, fixed or learned (paper section 4.3).

Fixed labels follow from the class order alone. Learned labels are an array of cells x classes
that is pooled over each patch (``pooling``).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError
from .order import ClassOrder
from .pooling import pixel_counts, places, pool, pooling_weights
from .poster import PosterGeometry


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
        return order.matrix().reshape(-1)
    rows, columns = places(order.grid[1], grid[1]), places(order.grid[0], grid[0])
    owners = order.matrix()[rows[:, None], columns[None, :]].reshape(-1)
    missing = set(order.cells) - set(owners.tolist())
    if missing:
        raise UsageError(
            f"a label array of {grid[0]}x{grid[1]} cells leaves {len(missing)} classes without "
            f"one; use at least {order.grid[0]}x{order.grid[1]} patches"
        )
    return owners


def initial_labels(owners: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    """Return the label array that learning starts from: one-hot, float32 (cells, n)."""
    return np.eye(classes, dtype=np.float32)[owners]


def label_floor(classes: int) -> float:
    """Return the smallest share that a learned label keeps for its cell's own class.

    Above 1 / classes, so that labels can never run to uniform, however few the classes.
    """
    return min(0.9, max(0.2, 1.5 / classes))


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
