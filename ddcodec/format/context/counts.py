"""Model ``counts``: the bits of a symbol by how often they were 0 and 1 before.

A decision adapts by itself, in integers; ``frequencies`` is made of such decisions as well.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .arithmetic import RangeDecoder, RangeEncoder

# What a 0 and a 1 count unseen, and what each sight of them adds (0.4 and 1).
FIRST, STEP = 2, 5
MOST = 1 << 12  # of both together; above, they are halved

Symbols = NDArray[np.uint8]
Decision = list[int]  # how often it was 0, and 1


def decisions(count: int) -> list[Decision]:
    """Return decisions of which nothing has been seen."""
    return [[FIRST, FIRST] for _ in range(count)]


def encode_bit(coder: RangeEncoder, at: Decision, bit: int) -> None:
    """Add the outcome of a decision, and count it."""
    coder.encode(at[0] if bit else 0, at[bit], at[0] + at[1])
    _count(at, bit)


def decode_bit(coder: RangeDecoder, at: Decision) -> int:
    """Return the outcome of a decision, and count it."""
    zeros = at[0]
    if coder.target(zeros + at[1]) < zeros:
        coder.take(0, zeros)
        _count(at, 0)
        return 0
    coder.take(zeros, at[1])
    _count(at, 1)
    return 1


def encode(coder: RangeEncoder, symbols: Symbols, bits: int) -> None:
    """Add ``symbols``, uint8 below 2^bits, in C order."""
    seen = decisions(1 << bits)
    for symbol in symbols.reshape(-1).tolist():
        node = 1  # the bits of the symbol so far, behind a 1
        for k in range(bits - 1, -1, -1):
            bit = (symbol >> k) & 1
            encode_bit(coder, seen[node], bit)
            node = 2 * node + bit


def decode(coder: RangeDecoder, shape: tuple[int, ...], bits: int) -> Symbols:
    """Return the symbols of a piece, uint8 of ``shape``."""
    seen = decisions(1 << bits)
    out = bytearray(math.prod(shape))
    for i in range(len(out)):
        node = 1
        for _ in range(bits):
            node = 2 * node + decode_bit(coder, seen[node])
        out[i] = node - (1 << bits)
    return np.frombuffer(bytes(out), dtype=np.uint8).reshape(shape)


def _count(at: Decision, bit: int) -> None:
    at[bit] += STEP
    if at[0] + at[1] > MOST:
        at[0], at[1] = (at[0] + 1) >> 1, (at[1] + 1) >> 1
