"""Quantisers: float32 values to symbols of 2 to 8 bits and back, in three kinds.

``uniform`` has even levels, with one offset and scale for the whole tensor, for each index of axis
0, or for each tile of each picture. ``square`` has the levels 0, s, 4 s, 9 s, ...: fine near zero,
as small probabilities need. ``codebook`` lists its levels.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError

BLOCK = 1 << 20  # values in float64 at a time
KINDS = ("uniform", "square", "codebook")
ROUNDS = 30  # of k-means
Values = NDArray[np.float32]
Symbols = NDArray[np.uint8]
Quantised = tuple[Symbols, dict[str, Any]]


class Layout(NamedTuple):
    """What shares one offset and scale: all, each index of axis 0, or tiles (height, width).

    ``coarse`` widens the levels, so that a range takes fewer symbols than there are.
    """

    per_channel: bool = False
    tile: tuple[int, int] | None = None
    coarse: float = 1.0


def quantise(x: Values, bits: int, kind: str = "uniform", layout: Layout = Layout()) -> Quantised:
    """Return symbols, uint8 of the shape of ``x``, and the quantiser that gives the values back.

    ``uniform`` divides the range from smallest to largest value evenly into 2^bits levels and errs
    by at most half a level. ``square`` takes values >= 0 only. ``codebook`` chooses its levels by
    k-means. Raises UsageError for values that are not finite, bits outside 2..8, or a layout that
    the kind does not have.
    """
    if not 2 <= bits <= 8:
        raise UsageError(f"a quantiser has 2 to 8 bits, not {bits}")
    if kind not in KINDS:
        raise UsageError(f"unknown quantiser '{kind}'; use {', '.join(KINDS)}")
    if not np.isfinite(x).all():
        raise UsageError("cannot quantise values that are not finite")
    if kind == "uniform":
        return _uniform(x, bits, layout)
    if layout != Layout():
        raise UsageError(f"a {kind} quantiser is one for the whole tensor")
    return _square(x, bits) if kind == "square" else _codebook(x, bits)


def dequantise(symbols: Symbols, spec: dict[str, Any]) -> Values:
    """Return the values of symbols: the same bits on any machine (specification, section 5)."""
    if spec["kind"] == "codebook":
        levels: Values = np.asarray(spec["values"], dtype=np.float64).astype(np.float32)
        return levels[symbols]
    if spec["kind"] == "square":
        squares = np.arange(1 << spec["bits"], dtype=np.float64) ** 2
        return (float(spec["scale"]) * squares).astype(np.float32)[symbols]
    scale = np.asarray(spec["scale"], dtype=np.float64)
    offset = np.asarray(spec["offset"], dtype=np.float64)
    values = np.empty(symbols.shape, dtype=np.float32)
    if "tile" in spec:
        for i, (plane, rows, columns) in enumerate(tiles(symbols.shape, spec["tile"])):
            at = symbols.reshape(-1, *symbols.shape[-2:])[plane, rows, columns]
            target = values.reshape(-1, *symbols.shape[-2:])[plane, rows, columns]
            target[...] = offset[i] + scale[i] * at.astype(np.float64)
        return values
    flat, out = symbols.reshape(len(scale), -1), values.reshape(len(scale), -1)
    for row in range(len(scale)):
        for start in range(0, flat.shape[1], BLOCK):
            part = flat[row, start : start + BLOCK].astype(np.float64)
            out[row, start : start + BLOCK] = offset[row] + scale[row] * part
    return values


def tiles(shape: tuple[int, ...], tile: list[int]) -> list[tuple[int, slice, slice]]:
    """Return (plane, rows, columns) of every tile of (..., H, W): planes, then rows, then columns.

    The last tile of an axis is cut off at the edge.
    """
    *outer, height, width = shape
    return [
        (plane, slice(top, top + tile[0]), slice(left, left + tile[1]))
        for plane in range(math.prod(outer))
        for top in range(0, height, tile[0])
        for left in range(0, width, tile[1])
    ]


def count_tiles(shape: tuple[int, ...], tile: list[int]) -> int:
    """Return how many tiles a tensor (..., H, W) has."""
    *outer, height, width = shape
    return math.prod(outer) * -(-height // tile[0]) * -(-width // tile[1])


def largest_symbol(spec: dict[str, Any]) -> int:
    """Return the largest symbol that a quantiser gives a value to."""
    if spec["kind"] == "codebook":
        return len(spec["values"]) - 1
    return (1 << int(spec["bits"])) - 1


def of_rows(spec: dict[str, Any], begin: int, end: int) -> dict[str, Any]:
    """Return the quantiser of indices begin to end - 1 of axis 0."""
    if spec["kind"] != "uniform" or len(spec["scale"]) == 1 or "tile" in spec:
        return spec
    return {**spec, **{key: spec[key][begin:end] for key in ("offset", "scale")}}


def short_offset(low: float, scale: float) -> float:
    """Return ``low`` in as few digits, six or more, as keep it within a twentieth of a level."""
    digits = 6
    while abs(float(f"{low:.{digits}g}") - low) > scale / 20:
        digits += 1
    return float(f"{low:.{digits}g}")


def _short_scale(scale: float) -> float:
    """Return ``scale`` in four digits, which cost few bytes, rounded up so that all values fit."""
    return float(f"{max(scale, 1e-12) * 1.0005:.4g}")


def _uniform(x: Values, bits: int, layout: Layout) -> Quantised:
    if layout.tile is not None:
        return _tiled(x, bits, layout)
    rows = x.reshape(len(x), -1) if layout.per_channel else x.reshape(1, -1)
    offset, scale = _ranges([(float(row.min()), float(row.max())) for row in rows], bits, layout)
    columns = np.asarray(offset)[:, None], np.asarray(scale)[:, None]
    symbols = np.rint((rows.astype(np.float64) - columns[0]) / columns[1])
    spec = {"kind": "uniform", "bits": bits, "offset": offset, "scale": scale}
    return symbols.clip(0, 2**bits - 1).astype(np.uint8).reshape(x.shape), spec


def _tiled(x: Values, bits: int, layout: Layout) -> Quantised:
    tile = list(layout.tile or ())
    if x.ndim < 2:
        raise UsageError("only a tensor of two or more dimensions has tiles")
    planes = x.reshape(-1, *x.shape[-2:])
    places = tiles(x.shape, tile)
    offset, scale = _ranges(
        [(float(planes[at].min()), float(planes[at].max())) for at in places], bits, layout
    )
    symbols = np.empty(planes.shape, dtype=np.uint8)
    for at, low, step in zip(places, offset, scale, strict=True):
        nearest = np.rint((planes[at].astype(np.float64) - low) / step)
        symbols[at] = nearest.clip(0, 2**bits - 1)
    spec = {"kind": "uniform", "bits": bits, "offset": offset, "scale": scale, "tile": tile}
    return symbols.reshape(x.shape), spec


def _ranges(
    ranges: list[tuple[float, float]], bits: int, layout: Layout
) -> tuple[list[float], list[float]]:
    levels = (2**bits - 1) / layout.coarse
    scale = [_short_scale((high - low) / levels) for low, high in ranges]
    offset = [short_offset(lo, step) for (lo, _), step in zip(ranges, scale, strict=True)]
    return offset, scale


def _square(x: Values, bits: int) -> Quantised:
    if bool((x < 0).any()):
        raise UsageError("a square quantiser takes values of 0 and more")
    most = 2**bits - 1
    scale = _short_scale(float(x.max()) / most**2)
    root = np.sqrt(x.astype(np.float64) / scale)
    # The nearer of the two levels around a value, which differs from the nearer root.
    below = np.floor(root).clip(0, most)
    above = (below + 1).clip(0, most)
    nearer = np.abs(scale * above**2 - x) < np.abs(scale * below**2 - x)
    symbols = np.where(nearer, above, below).astype(np.uint8)
    return symbols, {"kind": "square", "bits": bits, "scale": scale}


def _codebook(x: Values, bits: int) -> Quantised:
    """Choose levels by k-means in one dimension, from quantiles (Lloyd, 1982)."""
    ordered = np.sort(x.reshape(-1).astype(np.float64))
    count = min(2**bits, len(np.unique(ordered)))
    levels = np.unique(ordered[(np.arange(count) * 2 + 1) * len(ordered) // (2 * count)])
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    for _ in range(ROUNDS):
        edges = np.searchsorted(ordered, (levels[1:] + levels[:-1]) / 2)
        begin, end = np.concatenate([[0], edges]), np.concatenate([edges, [len(ordered)]])
        filled = end > begin
        levels = (sums[end] - sums[begin])[filled] / (end - begin)[filled]
    levels = np.unique([float(f"{level:.5g}") for level in levels])
    if len(levels) == 1:  # a quantiser has two levels or more
        levels = np.array([levels[0], levels[0] + 1.0])
    symbols = np.searchsorted((levels[1:] + levels[:-1]) / 2, x.astype(np.float64))
    spec = {"kind": "codebook", "bits": bits, "values": levels.tolist()}
    return symbols.astype(np.uint8), spec
