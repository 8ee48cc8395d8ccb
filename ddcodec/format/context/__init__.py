"""Coder ``context``: symbols of up to 8 bits, each coded by what is known before it.

Two models, both decoded in integers alone, so every machine reads the same symbols (specification,
section 5.1). The first byte of a piece names the model:

- 0, ``counts``, for anything: the bits of a symbol by how often they were 0 and 1 before. A small
  table needs no code table of its own.
- 1, ``prediction``, for pictures: six neighbours predict a pixel, and a normal distribution around
  the prediction says how likely every symbol is.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from . import prediction
from .arithmetic import RangeDecoder, RangeEncoder

COUNTS, PREDICTION = 0, 1
# Of ``counts``: what a bit counts unseen, and what each sight of it adds (0.4 and 1).
FIRST, STEP = 2, 5
MOST = 1 << 12  # of zeros and ones together; above, both are halved
Symbols = NDArray[np.uint8]


def encode(symbols: Symbols, bits: int) -> bytes:
    """Return the code of ``symbols``, uint8 of any shape with values below 2^bits.

    Of three or more dimensions the last three are (channels, height, width) of pictures. The model
    that needs fewer bytes is taken, ``counts`` where both need the same.
    """
    coder = RangeEncoder()
    _encode_counts(coder, symbols, bits)
    codes = [bytes([COUNTS]) + coder.finish()]
    if symbols.ndim >= 3:
        coder = RangeEncoder()
        head = prediction.encode(coder, symbols, bits)
        codes.append(bytes([PREDICTION]) + head + coder.finish())
    return min(codes, key=len)


def decode(code: bytes | memoryview, shape: tuple[int, ...], bits: int) -> Symbols:
    """Return the symbols of a piece, uint8 of ``shape``.

    Raises ValueError for what no encoder writes: another model, parameters that are missing or out
    of range, a last byte of zero, bytes behind the last symbol.
    """
    code = bytes(code)
    if not code or code[0] not in (COUNTS, PREDICTION):
        raise ValueError("unknown model")
    if code[0] == COUNTS:
        head = 1
    elif len(shape) < 3:
        raise ValueError("a prediction of what is no picture")
    else:
        head = 1 + prediction.PARAMETERS * shape[-3]
    if len(code) < head:
        raise ValueError("parameters are cut short")
    if len(code) > head and code[-1] == 0:
        raise ValueError("ends with a zero byte")
    coder = RangeDecoder(code[head:])
    if code[0] == COUNTS:
        symbols = _decode_counts(coder, shape, bits)
    else:
        symbols = prediction.decode(coder, code[1:head], shape, bits)
    if coder.used < len(code) - head:
        raise ValueError("followed by other data")
    return symbols


def _encode_counts(coder: RangeEncoder, symbols: Symbols, bits: int) -> None:
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


def _decode_counts(coder: RangeDecoder, shape: tuple[int, ...], bits: int) -> Symbols:
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
