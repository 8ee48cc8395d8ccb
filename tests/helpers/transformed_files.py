"""Files of posters stored as coefficients: the valid ones of the vectors, and hostile ones."""

from __future__ import annotations

import numpy as np

from ddcodec.codecs.podd.transform import BLOCK, CENTRE, MIXING, NORMS, TABLE, blocks_of


def analysed(poster: np.ndarray, step: float) -> np.ndarray:
    """Return the symbols uint8 (C, By, Bx, 8, 8) that come near to a poster (C, H, W)."""
    height, width = poster.shape[1:]
    down, across = blocks_of((height, width))
    edges = ((0, 0), (0, down * BLOCK - height), (0, across * BLOCK - width))
    planes = np.pad(np.asarray(poster, np.float64), edges, mode="edge")
    if len(planes) == 3:
        planes = np.tensordot(MIXING * np.array(NORMS)[:, None], planes, 1)
    blocks = planes.reshape(-1, down, BLOCK, across, BLOCK).swapaxes(2, 3)
    waves = TABLE / 4096
    coefficients = np.rint(waves @ blocks @ waves.T / step).clip(-CENTRE, CENTRE - 1)
    return (coefficients + CENTRE).astype(np.uint8)
