"""Model ``counts``: every bit of a symbol by how often it was 0 and 1 after the bits above it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .arithmetic import RangeDecoder, RangeEncoder

FIRST, STEP = 2, 5  # what a bit counts unseen, and what each sight of it adds (0.4 and 1)
MOST = 1 << 12  # of zeros and ones together; above, both are halved

Symbols = NDArray[np.uint8]


def encode(coder: RangeEncoder, symbols: Symbols, bits: int) -> None:
    """Add ``symbols``, uint8 below 2^bits, in C order."""
    seen = [[FIRST, FIRST] for _ in range(1 << bits)]
    for symbol in symbols.reshape(-1).tolist():
        node = 1  # the bits of the symbol so far, behind a 1
        for k in range(bits - 1, -1, -1):
            at = seen[node]
            bit = (symbol >> k) & 1
            coder.encode(at[0] if bit else 0, at[bit], at[0] + at[1])
            _count(at, bit)
            node = 2 * node + bit


def decode(coder: RangeDecoder, shape: tuple[int, ...], bits: int) -> Symbols:
    """Return the symbols of a piece, uint8 of ``shape``."""
    seen = [[FIRST, FIRST] for _ in range(1 << bits)]
    out = bytearray(math.prod(shape))
    for i in range(len(out)):
        node = 1
        for _ in range(bits):
            at = seen[node]
            bit = 1 if coder.target(at[0] + at[1]) >= at[0] else 0
            coder.take(at[0] if bit else 0, at[bit])
            _count(at, bit)
            node = 2 * node + bit
        out[i] = node - (1 << bits)
    return np.frombuffer(bytes(out), dtype=np.uint8).reshape(shape)


def _count(at: list[int], bit: int) -> None:
    at[bit] += STEP
    if at[0] + at[1] > MOST:
        at[0], at[1] = (at[0] + 1) >> 1, (at[1] + 1) >> 1
