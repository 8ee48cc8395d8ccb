"""Coder ``context``: symbols of up to 8 bits, each coded by what is known before it.

Three models, decoded in integers alone, so every machine reads the same symbols (specification,
section 5.1). The first byte of a piece names the model:

- 0, ``counts``, for anything: the bits of a symbol by how often they were 0 and 1 before. A small
  table needs no code table of its own.
- 1, ``prediction``, for pictures: six neighbours predict a pixel, and a normal distribution around
  the prediction says how likely every symbol is.
- 2, ``frequencies``, for coefficients of blocks: whether one is zero, its sign and its size, by how
  often that was so before at a similar frequency.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from . import counts, frequencies, prediction
from .arithmetic import RangeDecoder, RangeEncoder

COUNTS, PREDICTION, FREQUENCIES = 0, 1, 2
Symbols = NDArray[np.uint8]


def encode(symbols: Symbols, bits: int) -> bytes:
    """Return the code of ``symbols``, uint8 of any shape with values below 2^bits.

    Of three or more dimensions the last three are (channels, height, width) of pictures; five with
    8 x 8 at their end are coefficients of blocks. The model that needs fewer bytes is taken,
    ``counts`` where both need the same.
    """
    coder = RangeEncoder()
    counts.encode(coder, symbols, bits)
    codes = [bytes([COUNTS]) + coder.finish()]
    if frequencies.fits(symbols.shape):
        if frequencies.suits(symbols, bits):
            coder = RangeEncoder()
            frequencies.encode(coder, symbols, bits)
            codes.append(bytes([FREQUENCIES]) + coder.finish())
    elif symbols.ndim >= 3:
        coder = RangeEncoder()
        head = prediction.encode(coder, symbols, bits)
        codes.append(bytes([PREDICTION]) + head + coder.finish())
    return min(codes, key=len)


def decode(code: bytes | memoryview, shape: tuple[int, ...], bits: int) -> Symbols:
    """Return the symbols of a piece, uint8 of ``shape``.

    Raises ValueError for what no encoder writes: another model, one that does not go with the
    shape, parameters that are missing or out of range, coefficients out of range, a last byte of
    zero, bytes behind the last symbol.
    """
    code = bytes(code)
    if not code or code[0] not in (COUNTS, PREDICTION, FREQUENCIES):
        raise ValueError("unknown model")
    model, head = code[0], 1
    if model == FREQUENCIES and not frequencies.fits(shape):
        raise ValueError("frequencies of what has no blocks")
    if model == PREDICTION:
        if len(shape) < 3:
            raise ValueError("a prediction of what is no picture")
        head += prediction.PARAMETERS * shape[-3]
    if len(code) < head:
        raise ValueError("parameters are cut short")
    if len(code) > head and code[-1] == 0:
        raise ValueError("ends with a zero byte")
    coder = RangeDecoder(code[head:])
    if model == PREDICTION:
        symbols = prediction.decode(coder, code[1:head], shape, bits)
    else:
        symbols = (counts if model == COUNTS else frequencies).decode(coder, shape, bits)
    if coder.used < len(code) - head:
        raise ValueError("followed by other data")
    return symbols
