"""Model ``prediction``: a pixel is normally distributed around what its neighbours predict.

The weights of the neighbours, the mean and the spread are fitted to the pictures, a byte each. A
poster needs 5 to 35 % fewer bytes than with zstd, the more the fewer its bits (docs/coding.md).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .arithmetic import RangeDecoder, RangeEncoder

NEIGHBOURS = ((0, -1), (-1, 0), (-1, -1), (-1, 1), (0, -2), (-2, 0))  # (dy, dx) of each weight
PARAMETERS = 2 + len(NEIGHBOURS)  # bytes a channel: mean, spread, weights
UNIT = 64  # a level, and a weight of one, in fixed point
WHOLE = 1 << 16  # all of a distribution; each symbol has one more, so that none is impossible
# round(2^(26 - k / 8)) for k from 0: 2^22 / sigma, sigma in levels.
RECIPROCALS = (67108864, 61538217, 56430137, 51746066, 47450737, 43512005, 39900230, 36588253)
MOST_SPREAD = 95  # sigma is 2^(spread / 8 - 4) levels, from a sixteenth to 235

Symbols = NDArray[np.uint8]
Integers = NDArray[np.int64]


def encode(coder: RangeEncoder, symbols: Symbols, bits: int) -> bytes:
    """Add pictures, uint8 (..., C, H, W) below 2^bits; return the parameters, 8 bytes a channel."""
    channels, height, width = symbols.shape[-3:]
    pictures = symbols.reshape(-1, channels, height, width).astype(np.int64)
    heads = [_fit(pictures[:, c], bits) for c in range(channels)]
    total, last = WHOLE + (1 << bits), (1 << bits) - 1
    for picture in pictures:
        for plane, head in zip(picture, heads, strict=True):
            mean, spread, weights = _parse(head, bits)
            shares = _shares(spread, bits)
            start = _start(_predicted(plane, mean, weights, bits), mean, bits)
            for at, symbol in zip(
                start.reshape(-1).tolist(), plane.reshape(-1).tolist(), strict=True
            ):
                low = shares[at + UNIT * symbol] + symbol if symbol else 0
                high = shares[at + UNIT * symbol + UNIT] + symbol + 1 if symbol < last else total
                coder.encode(low, high - low, total)
    return b"".join(heads)


def decode(coder: RangeDecoder, heads: bytes, shape: tuple[int, ...], bits: int) -> Symbols:
    """Return pictures, uint8 of ``shape`` (..., C, H, W); ``heads`` holds 8 bytes a channel.

    Raises ValueError for parameters out of range.
    """
    channels, height, width = shape[-3:]
    planes = []
    for plane in range(math.prod(shape[:-2])):
        head = heads[plane % channels * PARAMETERS :][:PARAMETERS]
        planes.append(_decode_plane(coder, head, height, width, bits))
    return np.array(planes, dtype=np.uint8).reshape(shape)


def _decode_plane(
    coder: RangeDecoder, head: bytes, height: int, width: int, bits: int
) -> list[list[int]]:
    mean, spread, (a, b, c, d, e, f) = _parse(head, bits)
    phases = _cumulative(spread, bits)
    total, levels, most = WHOLE + (1 << bits), 1 << bits, UNIT << bits
    first = _start(np.zeros(1, np.int64), mean, bits).item()
    above2, above = (
        [0] * (width + 3),
        [0] * (width + 3),
    )  # less the mean: two on the left, one right
    plane = []
    target, take = coder.target, coder.take
    for _ in range(height):
        row, symbols = [0, 0], []
        for x in range(2, width + 2):
            predicted = (
                a * row[x - 1] + b * above[x] + c * above[x - 1] + d * above[x + 1]
                + e * row[x - 2] + f * above2[x]
            )  # fmt: skip
            if predicted > most:
                predicted = most
            elif predicted < -most:
                predicted = -most
            zero, phase = divmod(first - predicted, UNIT)
            counts = phases[phase]
            # The last symbol whose interval begins at or before the target; that of 0 begins at 0.
            found = bisect_right(counts, target(total) + zero, zero + 1, zero + levels) - 1
            symbol = found - zero
            begin = counts[found] - zero if symbol else 0
            end = counts[found + 1] - zero if symbol + 1 < levels else total
            take(begin, end - begin)
            row.append(symbol - mean)
            symbols.append(symbol)
        row.append(0)
        above2, above = above, row
        plane.append(symbols)
    return plane


def _parse(head: bytes, bits: int) -> tuple[int, int, list[int]]:
    mean, spread = head[0], head[1]
    if mean >> bits or spread > MOST_SPREAD:
        raise ValueError("a parameter is out of range")
    return mean, spread, [w - 256 if w > 127 else w for w in head[2:]]


def _predicted(plane: Integers, mean: int, weights: list[int], bits: int) -> Integers:
    """Return the prediction of each pixel of (..., H, W), less the mean, in 1/64 level."""
    out = np.zeros(plane.shape, np.int64)
    for weight, neighbour in zip(weights, _neighbours(plane - mean), strict=True):
        out += weight * neighbour
    return out.clip(-(UNIT << bits), UNIT << bits)


def _neighbours(plane: Integers) -> list[Integers]:
    """Return the neighbours of each pixel of (..., H, W), 0 outside of the picture."""
    height, width = plane.shape[-2:]
    padded = np.zeros((*plane.shape[:-2], height + 2, width + 3), plane.dtype)
    padded[..., 2:, 2:-1] = plane
    return [padded[..., 2 + y : 2 + y + height, 2 + x : 2 + x + width] for y, x in NEIGHBOURS]


def _start(predicted: Integers, mean: int, bits: int) -> Integers:
    """Return where in ``_shares`` the lower edge of symbol 0 lies; those of others follow by 64."""
    return (2 * UNIT << bits) + UNIT // 2 - UNIT * mean - UNIT // 2 - predicted


@lru_cache(maxsize=1)
def _normal() -> Integers:
    """Return the normal distribution from -8 to 8 sigma in steps of a sixteenth, of 2^16.

    That of 1024 tossed coins, whose sigma is 16: exact sums of binomial coefficients.
    """
    table, below, ways = [], 0, 1
    for heads in range(641):
        if heads >= 384:
            table.append(((2 * below + ways) << 16) >> 1025)
        below += ways
        ways = ways * (1024 - heads) // (heads + 1)
    return np.array(table, dtype=np.int64)


@lru_cache(maxsize=8)
def _cumulative(spread: int, bits: int) -> list[list[int]]:
    """Return cumulative counts by phase: entry j of list p is ``_shares`` at 64 j + p, plus j.

    With the lower edge of symbol 0 at 64 z + p, symbol q begins at entry z + q, less z: the symbols
    of one pixel lie next to each other, in ascending order.
    """
    shares = np.asarray(_shares(spread, bits))
    columns = shares[: len(shares) // UNIT * UNIT].reshape(-1, UNIT)
    return (columns + np.arange(len(columns))[:, None]).T.tolist()  # type: ignore[no-any-return]


@lru_cache(maxsize=8)
def _shares(spread: int, bits: int) -> list[int]:
    """Return how much of 2^16 lies below each distance from the prediction.

    Entry i is for a distance of i / 64 - 2 x 2^bits - 1/2 levels.
    """
    reach = (2 * UNIT << bits) + UNIT // 2
    distance = np.arange(-reach, reach + 2 * UNIT, dtype=np.int64)
    at = (distance * (RECIPROCALS[spread % 8] >> (spread // 8)) >> 16) + (128 << 8)
    at = at.clip(0, (256 << 8) - 1)  # 256 parts of a step of a sixteenth of sigma
    table, part = _normal(), at & 255
    return ((table[at >> 8] * (256 - part) + table[(at >> 8) + 1] * part) >> 8).tolist()  # type: ignore[no-any-return]


def _fit(planes: Integers, bits: int) -> bytes:
    """Return the parameters that suit the planes (N, H, W) of one channel: least squares."""
    mean = int(np.rint(planes.mean()))
    matrix = np.stack([n.reshape(-1) for n in _neighbours(planes - mean)], axis=1)
    target = (planes - mean).reshape(-1)
    # Sums of integers, so that their order and the machine do not matter.
    gram, right = matrix.T @ matrix, matrix.T @ target
    ridge = 0.01 * max(1.0, float(np.diag(gram).mean()))
    solution = np.linalg.solve(gram + ridge * np.eye(len(NEIGHBOURS)), right)
    weights = np.rint(solution * UNIT).clip(-127, 127).astype(int).tolist()
    predicted = _predicted(planes, mean, weights, bits)
    spread = _best_spread(planes, predicted, mean, bits)
    return bytes([mean, spread, *(w & 255 for w in weights)])


def _best_spread(planes: Integers, predicted: Integers, mean: int, bits: int) -> int:
    rest = UNIT * (planes - mean) - predicted
    sigma = max(1 / 16, float(np.sqrt(np.mean(rest.astype(np.float64) ** 2))) / UNIT)
    near = round(8 * (math.log2(sigma) + 4))
    start = _start(predicted, mean, bits) + UNIT * planes
    best = (math.inf, 0)
    for spread in range(max(0, near - 6), min(MOST_SPREAD, near + 3) + 1):
        shares = np.asarray(_shares(spread, bits))
        low = np.where(planes == 0, 0, shares[start] + planes)
        top = planes == (1 << bits) - 1
        high = np.where(top, WHOLE + (1 << bits), shares[start + UNIT] + planes + 1)
        best = min(best, (-float(np.log2(high - low).sum()), spread))
    return best[1]
