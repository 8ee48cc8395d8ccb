"""From the cells of a label array to the labels of patches, in arithmetic that is exact anywhere.

How much each cell counts in a patch follows from whole pixels; labels are float64 sums in a fixed
order, rounded once. So a decode gives the same float32 rows on every machine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidFile, UsageError
from ..shared.grid import cell_edges
from .poster import EVEN, PosterGeometry, origins

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
POOLINGS = ("area", "cell", "sharpened", "centre", "crop")  # of learned labels, as files name them


def pixel_counts(geometry: PosterGeometry, grid: tuple[int, int]) -> Ints:
    """Return the pixels each patch shares with each cell of a grid (x, y): int64 (P, cells).

    Cells are row-major; patches are in patch order (x outer, y inner).
    """
    return _product(*_axes(geometry, grid, _overlaps))


def pooling_weights(geometry: PosterGeometry, grid: tuple[int, int], pooling: str) -> Floats:
    """Return how much each cell of a label array counts in each patch: float64 (P, cells).

    - ``area``, the paper's: the pixels that patch and cell share.
    - ``sharpened``: their fourth power, a temperature of 1/4. Where a patch covers several cells
      the one with most of it counts still more.
    - ``centre``: pixels count the more, the nearer they are to the middle of the patch along both
      axes, falling in a straight line to the edges.
    - ``cell``: the one cell at the patch's place in the patch grid, floor((2 i + 1) cells /
      (2 patches)) along each axis. Every cell has a patch wherever there are at least as many
      patches as cells, which the cells under the patches' centres do not grant.
    - ``crop``: as the published code does it, max(1, floor(patch cells / poster)) cells along each
      axis, from evenly spaced ones, whatever the patch covers.

    Labels are normalised after pooling, so only the ratios within a row matter.
    """
    if pooling == "cell":
        return _product(*_axes(geometry, grid, _place)).astype(np.float64)
    if pooling == "crop":
        return _product(*_axes(geometry, grid, _crop)).astype(np.float64)
    if pooling == "centre":  # products of axes may be too large for an integer
        return _product(*(axis.astype(np.float64) for axis in _axes(geometry, grid, _tents)))
    if pooling not in ("area", "sharpened"):
        raise UsageError(f"unknown label pooling '{pooling}'; use one of: {', '.join(POOLINGS)}")
    weights = pixel_counts(geometry, grid).astype(np.float64)
    if pooling == "sharpened":
        weights *= weights  # twice: a power function may round otherwise on another machine
        weights *= weights
    return weights


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


Axis = Callable[[int, int, tuple[int, ...], int], Ints]  # (length, cells, starts, size)


def _axes(geometry: PosterGeometry, grid: tuple[int, int], weigh: Axis) -> tuple[Ints, Ints]:
    """Return the weights along x, (p_x, grid_x), and along y, (p_y, grid_y)."""
    g, (grid_x, grid_y) = geometry, grid
    across = weigh(g.width, grid_x, g.origins_x, g.patch_w)
    return across, weigh(g.height, grid_y, g.origins_y, g.patch_h)


def _product(across: NDArray[Any], down: NDArray[Any]) -> NDArray[Any]:
    weights: NDArray[Any] = across[:, None, None, :] * down[None, :, :, None]
    return weights.reshape(len(across) * len(down), -1)  # (p_x, p_y, grid_y, grid_x)


def _overlaps(length: int, cells: int, starts: tuple[int, ...], size: int) -> Ints:
    """Return how many pixels each window [start, start + size) shares with each cell."""
    return _shared(length, cells, starts, size, lambda pixels: pixels)


def _tents(length: int, cells: int, starts: tuple[int, ...], size: int) -> Ints:
    """Return the same with pixel j of a window counting min(2 j + 1, 2 size - 2 j - 1)."""

    def first(pixels: Ints) -> Ints:  # the sum over the first pixels of a window
        rest = (size * size + 1) // 2 - (size - pixels) ** 2
        return np.where(2 * pixels <= size, pixels**2, rest)

    return _shared(length, cells, starts, size, first)


def _shared(
    length: int, cells: int, starts: tuple[int, ...], size: int, first: Callable[[Ints], Ints]
) -> Ints:
    # ``first`` gives the weight of the first so many pixels of a window. One that runs over
    # ``length`` goes on at 0.
    edges = np.asarray(cell_edges(length, cells), dtype=np.int64)
    begin = np.asarray(starts, dtype=np.int64)[:, None]
    shared = np.zeros((len(begin), cells), dtype=np.int64)
    for start in (begin, begin - length):
        inside = np.clip(edges[None, :] - start, 0, size)
        shared += np.diff(first(inside), axis=1)
    return shared


def _place(length: int, cells: int, starts: tuple[int, ...], size: int) -> Ints:
    return np.eye(cells, dtype=np.int64)[places(cells, len(starts))]


def _crop(length: int, cells: int, starts: tuple[int, ...], size: int) -> Ints:
    window = max(1, size * cells // length)
    begin = np.asarray(origins(cells, window, len(starts), EVEN), dtype=np.int64)[:, None]
    at = np.arange(cells, dtype=np.int64)
    return ((begin <= at) & (at < begin + window)).astype(np.int64)
