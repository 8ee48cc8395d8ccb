"""Grids of cells over pixels, in exact integers."""

from __future__ import annotations


def cell_edges(length: int, cells: int) -> tuple[int, ...]:
    """Return the first pixel of each of ``cells`` cells along an axis, then ``length``.

    Pixel p belongs to cell floor(p cells / length): nearest-neighbour upsampling, exactly.
    """
    return tuple(-(-i * length // cells) for i in range(cells + 1))
