"""A poster that is stored as coefficients of an 8 x 8 cosine transform, and its pixels.

The transform has integers for cosines, so its sums are exact; what follows are single operations of
binary64. A reader finds the same values on every machine (specification, section 8.1).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BLOCK = 8  # pixels, and frequencies, along each side of a block
CENTRE = 128  # the symbol of the coefficient 0
UNIT = 1 << 24  # of a sum: two cosines of 12 bits behind the point
PART_BLOCKS = 1 << 14  # at a time, beside the poster itself: 8 MiB of binary64

# round(4096 a cos(pi k / 16)); a is sqrt(1/8) for k = 0, the mean of a block, and 1/2 for others.
_COSINES = (1448, 2009, 1892, 1703, 1448, 1138, 784, 400)


def _cosine(turn: int) -> int:
    """Return the entry for cos(pi turn / 16), which no whole number of quarter turns but 0 has."""
    turn %= 32
    turn = min(turn, 32 - turn)
    return _COSINES[turn] if turn < BLOCK else -_COSINES[16 - turn]


# Row u is the wave of frequency u over the pixels y of a block, times 4096.
TABLE: NDArray[np.int64] = np.array(
    [[_cosine((2 * y + 1) * u) for y in range(BLOCK)] for u in range(BLOCK)], dtype=np.int64
)
# Three channels are sums of three planes: grey, red less blue, green against both. Each row times
# its norm has length 1.
MIXING: NDArray[np.int64] = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]], dtype=np.int64)
NORMS = (0.5773502691896258, 0.7071067811865476, 0.4082482904638631)


def blocks_of(size: tuple[int, int]) -> tuple[int, int]:
    """Return how many blocks cover ``size`` (H, W), down and across."""
    height, width = size
    return -(-height // BLOCK), -(-width // BLOCK)


def synthesised(
    symbols: NDArray[np.uint8], size: tuple[int, int], step: float
) -> NDArray[np.float32]:
    """Return the poster float32 (C, H, W), exact, of ``size`` (H, W).

    ``symbols`` is uint8 (C, ceil(H / 8), ceil(W / 8), 8, 8), by vertical and then horizontal
    frequency; less ``CENTRE`` they are coefficients in units of ``step``, 1e-30 to 1e30. All values
    are finite: they stay below 10^4 steps.
    """
    height, width = size
    out = np.empty((len(symbols), height, width), np.float32)
    rows = max(1, PART_BLOCKS // (len(symbols) * symbols.shape[2]))
    for start in range(0, symbols.shape[1], rows):
        planes = _planes(symbols[:, start : start + rows])[..., :width]
        part = out[:, start * BLOCK :][:, : planes.shape[1]]
        part[:] = _values(planes[:, : part.shape[1]], float(step))
    return out


def _planes(symbols: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the sums of waves, whole numbers (C, 8 rows, 8 columns): below 2^53, so exact."""
    coefficients = symbols.astype(np.float64) - CENTRE  # (C, By, Bx, u, v)
    waves = TABLE.astype(np.float64)
    blocks = waves.T @ coefficients @ waves  # (C, By, Bx, y, x)
    channels, down, across = symbols.shape[:3]
    joined = blocks.swapaxes(2, 3).reshape(channels, down * BLOCK, across * BLOCK)
    return joined + 0.0  # a sum of nothing is +0, in whatever order it was taken


def _values(planes: NDArray[np.float64], step: float) -> NDArray[np.float64]:
    if len(planes) != len(NORMS):
        return step * planes / UNIT
    parts = [step * norm * plane for norm, plane in zip(NORMS, planes, strict=True)]
    first, second, third = (
        weights[:, None, None] * part for weights, part in zip(MIXING, parts, strict=True)
    )
    mixed: NDArray[np.float64] = ((first + second) + third) / UNIT
    return mixed
