"""Model ``frequencies``: coefficients of 8 x 8 blocks, by how fast their waves are.

Most coefficients are 0, the more so the faster the wave. One is a few decisions: whether it is 0,
its sign, and whether it is larger than 1, 2, 3 and so on.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .arithmetic import RangeDecoder, RangeEncoder
from .counts import Decision, decisions, decode_bit, encode_bit

SIDE = 8  # frequencies of a block, down and across
ORDER = sorted(np.ndindex(SIDE, SIDE), key=lambda place: (sum(place), place))
SPEEDS, SLOW, SIZES = 10, 6, 6  # told apart: of zero or not; of sizes; of how large it is already
MEAN = 8  # at most, of all magnitudes: a small code cannot ask for many decisions

Symbols = NDArray[np.uint8]


def fits(shape: tuple[int, ...]) -> bool:
    """Whether a piece has the shape of blocks: (C, rows, columns, 8, 8)."""
    return len(shape) == 5 and shape[3:] == (SIDE, SIDE)


def suits(symbols: Symbols, bits: int) -> bool:
    """Whether coefficients of a fitting shape are as small as the model demands."""
    sizes = np.abs(symbols.astype(np.int64) - (1 << bits - 1))
    return int(sizes.sum()) <= MEAN * symbols.size


def encode(coder: RangeEncoder, symbols: Symbols, bits: int) -> None:
    """Add blocks, uint8 (C, rows, columns, 8, 8) below 2^bits that ``suits`` accepts."""
    zero, larger = _decisions()
    centre = 1 << bits - 1
    down, across = zip(*ORDER, strict=True)
    blocks = symbols.transpose(1, 2, 3, 4, 0)[:, :, down, across]  # (rows, columns, 64, C)
    speeds = _speeds(len(symbols))
    for block in blocks.reshape(-1, len(speeds)).tolist():
        for symbol, speed in zip(block, speeds, strict=True):
            size = abs(symbol - centre)
            encode_bit(coder, zero[speed], int(size > 0))
            if not size:
                continue
            coder.encode(int(symbol < centre), 1, 2)
            of_speed = larger[min(speed, SLOW - 1)]
            for k in range(1, size + 1):
                encode_bit(coder, of_speed[min(k, SIZES) - 1], int(size > k))


def decode(coder: RangeDecoder, shape: tuple[int, ...], bits: int) -> Symbols:
    """Return blocks, uint8 of ``shape`` (C, rows, columns, 8, 8).

    Raises ValueError for a coefficient out of range, and for coefficients that are too large
    together.
    """
    zero, larger = _decisions()
    centre = 1 << bits - 1
    channels, rows, columns = shape[:3]
    speeds = _speeds(channels)
    out, at, left = bytearray([centre]) * math.prod(shape), 0, MEAN * math.prod(shape)
    for _ in range(rows * columns):
        for speed in speeds:
            if decode_bit(coder, zero[speed]):
                negative = coder.target(2)
                coder.take(negative, 1)
                size, most = 1, centre - 1 + negative
                of_speed = larger[min(speed, SLOW - 1)]
                while size <= most and decode_bit(coder, of_speed[min(size, SIZES) - 1]):
                    size += 1
                left -= size
                if size > most or left < 0:
                    raise ValueError("a coefficient is out of range")
                out[at] = centre - size if negative else centre + size
            at += 1
    found = np.frombuffer(bytes(out), np.uint8).reshape(rows, columns, SIDE * SIDE, channels)
    symbols = np.empty((rows, columns, SIDE, SIDE, channels), np.uint8)
    down, across = zip(*ORDER, strict=True)
    symbols[:, :, down, across] = found
    return np.ascontiguousarray(symbols.transpose(4, 0, 1, 2, 3))


def _decisions() -> tuple[list[Decision], list[list[Decision]]]:
    """Return what is decided by speed (not 0), and by speed and size (larger than it)."""
    return decisions(SPEEDS), [decisions(SIZES) for _ in range(SLOW)]


def _speeds(channels: int) -> list[int]:
    """Return how fast the wave of each coefficient of a block is: u + v, 9 at most."""
    return [min(u + v, SPEEDS - 1) for u, v in ORDER for _ in range(channels)]
