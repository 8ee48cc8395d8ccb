"""Coder ``context``: symbols of up to 8 bits, each coded by what is known before it.

Two models, both decoded in integers alone, so every machine reads the same symbols (specification,
section 5.1). The first byte of a piece names the model:

- 0, ``counts``, for anything: the bits of a symbol by how often they were 0 and 1 before. A small
  table needs no code table of its own.
- 1, ``prediction``, for pictures: six neighbours predict a pixel, and a normal distribution around
  the prediction says how likely every symbol is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from . import counts, prediction
from .arithmetic import RangeDecoder, RangeEncoder

COUNTS, PREDICTION = 0, 1
Symbols = NDArray[np.uint8]


def encode(symbols: Symbols, bits: int) -> bytes:
    """Return the code of ``symbols``, uint8 of any shape with values below 2^bits.

    Of three or more dimensions the last three are (channels, height, width) of pictures. The model
    that needs fewer bytes is taken, ``counts`` where both need the same.
    """
    coder = RangeEncoder()
    counts.encode(coder, symbols, bits)
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
        symbols = counts.decode(coder, shape, bits)
    else:
        symbols = prediction.decode(coder, code[1:head], shape, bits)
    if coder.used < len(code) - head:
        raise ValueError("followed by other data")
    return symbols
