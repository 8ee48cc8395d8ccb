"""A poster that is stored smaller than it is, and the one that patches are cut from.

Expansion is bilinear with half-pixel centres and edges held. Every operation is one of binary64 on
exact weights, so a reader finds the same values on every machine (specification, section 8.1).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

PART_VALUES = 1 << 20  # of binary64 at a time, beside the poster itself


class Taps(NamedTuple):
    """One axis of the expansion from n to m pixels: what each of the m is made of.

    Attributes:
        first, second: int64 (m,), source pixels.
        near, far: float64 (m,), their weights: integers, of which two add up to 2 m.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    near: NDArray[np.float64]
    far: NDArray[np.float64]


def taps(source: int, target: int) -> Taps:
    """Return the taps that take ``source`` pixels to ``target``."""
    # Output pixel i has its centre at ((2 i + 1) source - target) / (2 target).
    places = (2 * np.arange(target, dtype=np.int64) + 1) * source - target
    whole, rest = np.divmod(places, 2 * target)
    first, second = np.maximum(whole, 0), np.minimum(whole + 1, source - 1)
    return Taps(first, second, (2 * target - rest).astype(np.float64), rest.astype(np.float64))


def expanded(poster: NDArray[Any], size: tuple[int, int]) -> NDArray[np.float32]:
    """Return a stored poster float32 (C, h, w) at ``size`` (H, W): float32 (C, H, W), exact.

    It is the poster itself, not a copy, where it has that size.
    """
    poster = np.ascontiguousarray(poster, np.float32)
    if poster.shape[1:] == size:
        return poster
    height, width = size
    down, across = taps(poster.shape[1], height), taps(poster.shape[2], width)
    out = np.empty((len(poster), height, width), np.float32)
    rows = max(1, PART_VALUES // width)
    for channel, stored in zip(out, poster, strict=True):
        for start in range(0, height, rows):
            part = slice(start, start + rows)
            above = _across(stored[down.first[part]], across) * down.near[part, None]
            below = _across(stored[down.second[part]], across) * down.far[part, None]
            channel[part] = (above + below) / float(4 * height * width)
    return out


def _across(rows: NDArray[np.float32], taps: Taps) -> NDArray[np.float64]:
    values = rows.astype(np.float64)
    found: NDArray[np.float64] = values[:, taps.first] * taps.near
    found += values[:, taps.second] * taps.far
    return found
