"""A poster as quantised coefficients while it is distilled: how coarse, and what that leaves of it.

Pixels are what learns. What a file will hold of them is the nearest whole multiple of one step for
each coefficient of their cosine transform (``transform``), and most multiples are zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...format.context.counts import FIRST, STEP
from ...format.context.frequencies import SIZES, SLOW, SPEEDS
from .transform import BLOCK, CENTRE, MIXING, NORMS, TABLE, blocks_of, synthesised

# Bits of a value of the poster: the fewest, and where no bytes are asked for. Images that lie side
# by side may be coarser, so that there are more of them (docs/ablation.md).
RATE, IMAGES_RATE = 0.55, 0.36
# Steps are powers of 2^(1/32), in units of preprocessed pixels.
FINE = 32
FINEST_PLACE, COARSEST_PLACE = -10 * FINE, 10 * FINE
COARSEST = 2.0 ** (COARSEST_PLACE // FINE)
UNSEEN = FIRST / STEP  # of a count of the coder, in sights
BASIS = TABLE / 4096

Symbols = NDArray[np.uint8]


def coefficients(poster: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the coefficients (C, By, Bx, 8, 8) of a poster (C, H, W), in units of its values."""
    planes = poster.astype(np.float64)
    if len(planes) == len(NORMS):
        planes = np.einsum("ci,ihw->chw", MIXING * np.asarray(NORMS)[:, None], planes)
    channels, height, width = planes.shape
    down, across = blocks_of((height, width))
    edges = (0, 0), (0, BLOCK * down - height), (0, BLOCK * across - width)
    blocks = np.pad(planes, edges, mode="edge").reshape(channels, down, BLOCK, across, BLOCK)
    found: NDArray[np.float64] = BASIS @ blocks.transpose(0, 1, 3, 2, 4) @ BASIS.T
    return found


def quantised(values: NDArray[np.float64], step: float) -> Symbols:
    """Return ``coefficients`` as a file holds them, uint8 of the same shape."""
    return (np.rint(values / step).clip(1 - CENTRE, CENTRE - 1) + CENTRE).astype(np.uint8)


def rounded(poster: Tensor, step: float) -> Tensor:
    """Return a poster float32 (C, H, W) as a file of this step gives it, on the same device."""
    array = poster.detach().cpu().numpy()
    size = array.shape[1], array.shape[2]
    symbols = quantised(coefficients(array), step)
    return torch.from_numpy(synthesised(symbols, size, step)).to(poster.device)


def step_for(poster: Tensor, most: int) -> float:
    """Return the finest step at which a poster's coefficients take about ``most`` bytes or less.

    None is cut off at the largest multiple that a file may hold. The coarsest there is where none
    does.
    """
    values = coefficients(poster.detach().cpu().numpy())
    largest = float(np.abs(values).max(initial=0.0)) / (CENTRE - 1)

    def fits(step: float) -> bool:
        return step >= largest and expected_bytes(quantised(values, step)) <= most

    return finest(fits)


def finest(fits: Callable[[float], bool], above: float = 0) -> float:
    """Return the finest step that ``fits``, of those coarser than ``above``."""
    low = round(FINE * math.log2(above)) + 1 if above else FINEST_PLACE
    high = COARSEST_PLACE
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(_step(middle)) else (middle + 1, high)
    return _step(low)


def _step(place: int) -> float:
    return float(f"{2 ** (place / FINE):.6g}")


def expected_bytes(symbols: Symbols) -> int:
    """Return about what the coder's model of frequencies takes (specification, section 5.1).

    Its adaptive code of a decision depends on how often each answer was given, not on the order.
    Zeros behind the last coefficient are counted, which the coder leaves out.
    """
    sizes = np.abs(symbols.astype(np.int64) - CENTRE)
    far = np.add.outer(np.arange(BLOCK), np.arange(BLOCK))
    bits = float(np.count_nonzero(sizes))  # of signs
    for speed in range(SPEEDS):
        mine = sizes[..., np.minimum(far, SPEEDS - 1) == speed]
        bits += _adaptive(int((mine == 0).sum()), int((mine > 0).sum()))
    for speed in range(SLOW):
        mine = sizes[..., np.minimum(far, SLOW - 1) == speed]
        at_least = np.bincount(mine.reshape(-1), minlength=CENTRE + 1)[::-1].cumsum()[::-1]
        asked, more = at_least[1:-1], at_least[2:]  # of k = 1, 2, ...: are there more
        for k in range(SIZES):
            same = slice(k, k + 1 if k < SIZES - 1 else None)  # the last holds all larger ones
            bits += _adaptive(int((asked[same] - more[same]).sum()), int(more[same].sum()))
    return math.ceil(bits / 8) + 3


def _adaptive(zeros: int, ones: int) -> float:
    """Return the bits of so many decisions by counts that begin at ``UNSEEN`` each."""
    gamma = math.lgamma
    whole = gamma(zeros + ones + 2 * UNSEEN) - gamma(2 * UNSEEN)
    return (whole - gamma(zeros + UNSEEN) - gamma(ones + UNSEEN) + 2 * gamma(UNSEEN)) / math.log(2)
