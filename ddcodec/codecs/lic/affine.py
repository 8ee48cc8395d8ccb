"""The rows (a, b) of a small network in two bytes each (specification, section 8.3.1).

A factor is a power of 2^(1/12), by integers alone, so it is 3 % off at most. Shifts are as squares
are, finer where they are small, in a unit that depends on where the layer ends.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .integer_network import End, Network, units

OCTAVE = 12  # factors in a factor of two
# round(2^(40 + r / 12)).
MANTISSAS = np.array(
    [
        *(1099511627776, 1164891991448, 1234160073853, 1307547050779),
        *(1385297844439, 1467671940879, 1554944255988, 1647406053005),
        *(1745365914583, 1849150772653, 1959106999532, 2075601563905),
    ],
    np.float64,
)
LOWEST: dict[End, int] = {"relu": -20, "signed": -20, "logits": -30}  # log2 of the least factor
UNITS: dict[End, float] = {"relu": 2.0, "signed": 1.0, "logits": 2.0**-10}  # of a shift
ZERO = 128  # the code of a shift of 0
MOST = 127  # from there, on both sides
Codes = NDArray[np.uint8]


def factors(end: End) -> NDArray[np.float64]:
    """Return the factor of each code, float64 (256), exactly."""
    code = np.arange(256)
    return np.ldexp(MANTISSAS[code % OCTAVE], code // OCTAVE - 40 + LOWEST[end])


def rows_of(steps: Network, codes: NDArray[Any]) -> NDArray[np.float64]:
    """Return the rows (a, b), float64 (rows, 2), of ``label_affine`` uint8 (rows, 2); exact."""
    rows = np.empty(codes.shape)
    at = 0
    for unit in units(steps):
        end: End = "signed" if unit is None else unit.end
        part = slice(at, at + (1 if unit is None else unit.filters))
        rows[part, 0] = factors(end)[codes[part, 0]]
        root = codes[part, 1].astype(np.float64) - ZERO
        rows[part, 1] = root * np.abs(root) * UNITS[end]
        at = part.stop
    return rows


def factor_codes(values: NDArray[np.float64], end: End) -> Codes:
    """Return the code of the factor nearest to each of these, by its ratio, within the range."""
    octaves = np.log2(np.maximum(values, 2.0 ** LOWEST[end])) - LOWEST[end]
    codes: Codes = np.rint(octaves * OCTAVE).clip(0, 255).astype(np.uint8)
    return codes


def shift_codes(values: NDArray[np.float64], end: End) -> Codes:
    """Return the code of the shift nearest to each of these, by its root, within the range."""
    root = np.rint(np.sqrt(np.abs(values) / UNITS[end])).clip(0, MOST)
    codes: Codes = (np.sign(values) * root + ZERO).astype(np.uint8)
    return codes


def largest_shift(end: End) -> float:
    """Return the largest shift that a code can say, in both directions."""
    return MOST * MOST * UNITS[end]
