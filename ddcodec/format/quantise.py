"""Quantisers: float32 values to symbols of 2 to 8 bits and back, in two kinds.

``uniform`` has even levels, with one offset and scale for the whole tensor or for each index of
axis 0. ``square`` has the levels 0, s, 4 s, 9 s, ...: fine near zero, as small probabilities need.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError

BLOCK = 1 << 20  # values in float64 at a time
KINDS = ("uniform", "square")
Values = NDArray[np.float32]
Symbols = NDArray[np.uint8]
Quantised = tuple[Symbols, dict[str, Any]]


def quantise(
    x: Values, bits: int, kind: str = "uniform", *, per_channel: bool = False, coarse: float = 1.0
) -> Quantised:
    """Return symbols, uint8 of the shape of ``x``, and the quantiser that gives the values back.

    ``uniform`` divides the range from smallest to largest value, of all or with ``per_channel`` of
    each index of axis 0, evenly into 2^bits levels and errs by at most half a level. ``coarse``
    widens the levels, so that a range takes fewer symbols than there are. ``square`` takes values
    >= 0 only. Raises UsageError for values that are not finite, or bits outside 2..8.
    """
    if not 2 <= bits <= 8:
        raise UsageError(f"a quantiser has 2 to 8 bits, not {bits}")
    if kind not in KINDS:
        raise UsageError(f"unknown quantiser '{kind}'; use {', '.join(KINDS)}")
    if not np.isfinite(x).all():
        raise UsageError("cannot quantise values that are not finite")
    if kind == "uniform":
        return _uniform(x, bits, per_channel, coarse)
    return _square(x, bits)


def dequantise(symbols: Symbols, spec: dict[str, Any]) -> Values:
    """Return the values of symbols: the same bits on any machine (specification, section 5)."""
    if spec["kind"] == "square":
        squares = np.arange(1 << spec["bits"], dtype=np.float64) ** 2
        return (float(spec["scale"]) * squares).astype(np.float32)[symbols]
    scale = np.asarray(spec["scale"], dtype=np.float64)
    offset = np.asarray(spec["offset"], dtype=np.float64)
    values = np.empty(symbols.shape, dtype=np.float32)
    flat, out = symbols.reshape(len(scale), -1), values.reshape(len(scale), -1)
    for row in range(len(scale)):
        for start in range(0, flat.shape[1], BLOCK):
            part = flat[row, start : start + BLOCK].astype(np.float64)
            out[row, start : start + BLOCK] = offset[row] + scale[row] * part
    return values


def symbols_of(x: NDArray[Any], quantiser: dict[str, Any]) -> Symbols:
    """Return the symbols, of the shape of ``x``, of a uniform quantiser of the whole tensor.

    Values outside of its range go to the nearest end.
    """
    (offset,), (scale,) = quantiser["offset"], quantiser["scale"]
    levels = np.rint((x.astype(np.float64) - offset) / scale)
    symbols: Symbols = levels.clip(0, 2 ** quantiser["bits"] - 1).astype(np.uint8)
    return symbols


def of_rows(spec: dict[str, Any], begin: int, end: int) -> dict[str, Any]:
    """Return the quantiser of indices begin to end - 1 of axis 0."""
    if spec["kind"] != "uniform" or len(spec["scale"]) == 1:
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


def _uniform(x: Values, bits: int, per_channel: bool, coarse: float) -> Quantised:
    rows = x.reshape(len(x) if per_channel else 1, -1)
    levels = (2**bits - 1) / coarse
    low = [float(row.min()) for row in rows]
    scale = [
        _short_scale((float(row.max()) - least) / levels)
        for row, least in zip(rows, low, strict=True)
    ]
    offset = [short_offset(least, step) for least, step in zip(low, scale, strict=True)]
    columns = np.asarray(offset)[:, None], np.asarray(scale)[:, None]
    symbols = np.rint((rows.astype(np.float64) - columns[0]) / columns[1])
    spec = {"kind": "uniform", "bits": bits, "offset": offset, "scale": scale}
    return symbols.clip(0, 2**bits - 1).astype(np.uint8).reshape(x.shape), spec


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
