"""PoDDL: the soft label of every patch, fixed or learned (paper section 4.3).

Fixed labels follow from the class order alone. Learned labels are an array of cells x classes
that is pooled over each patch. How much each cell counts follows from whole pixels, and labels are
float64 sums in a fixed order, rounded once: a decode gives the same float32 rows anywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidFile, UsageError
from ..shared.grid import cell_edges
from .order import ClassOrder
from .poster import PosterGeometry

if TYPE_CHECKING:
    from .plan import Plan

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


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


def first_labels(plan: Plan) -> NDArray[np.float32]:
    """Return the label of every patch before any of them is learned, float32 (P, n).

    Fixed labels as they stay; of learned ones those that learning starts from. A class that has no
    share of any is in no patch of the file.
    """
    n = len(plan.classes)
    if plan.label_kind == "fixed":
        return fixed_labels(plan.geometry, plan.order, n)
    weights = pooling_weights(plan.geometry, plan.label_grid, plan.label_pooling)
    return pool(initial_labels(cell_owners(plan.order, plan.label_grid), n), weights)


def classes_without_patch(labels: NDArray[np.float32]) -> list[int]:
    """Return the classes that are the largest (or tie for it) in no patch's label (P, n)."""
    top = labels.max(axis=1, keepdims=True)
    return [int(c) for c in np.flatnonzero(~(labels == top).any(axis=0))]


def label_notes(plan: Plan) -> list[str]:
    """Return what is to be said about classes and their patches, as lines for people.

    Raises UsageError where a class has no share of any patch's label: no network could learn it.
    """
    classes, labels = plan.classes, first_labels(plan)
    patches = f"{plan.geometry.patches_x}x{plan.geometry.patches_y} patches"
    ways = "more `patches`, a larger `ipc`"
    if plan.label_kind == "fixed":
        ways += ", `labels`=learned"
    elif plan.label_pooling == "cell":
        ways += ", `label_pooling`=area"
    absent = np.flatnonzero((labels == 0).all(axis=0))
    if len(absent):
        raise UsageError(
            f"{len(absent)} of {len(classes)} classes ('{classes[absent[0]]}' first) are in the "
            f"label of none of the {patches}; use {ways}"
        )
    weak = classes_without_patch(labels)
    if not weak:
        return []
    return [
        f"labels: {len(weak)} of {len(classes)} classes ('{classes[weak[0]]}' first) have the "
        f"largest share of none of the {patches}; {ways} would give each its own"
    ]


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
