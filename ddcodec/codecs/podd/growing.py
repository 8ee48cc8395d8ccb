"""Posters that are stored at a lower resolution, while they are distilled.

Readers expand them exactly (``expand``). Here it is two products of matrices, whose transposes
carry gradients back: no sum depends on the order in which a GPU adds.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..options import Pair
from .expand import taps


class Growth:
    """The way from a stored poster to the one that patches are cut from, and back for gradients.

    Args:
        stored, size: (height, width) of both, pixels.
        device: of the posters.
    """

    def __init__(self, stored: Pair, size: Pair, device: torch.device) -> None:
        self._down, self._across = (
            weights(source, target).to(device) for source, target in zip(stored, size, strict=True)
        )

    def of(self, poster: Tensor) -> Tensor:
        """Return the poster float32 (C, H, W) that a stored one (C, h, w) stands for."""
        return self._down @ (poster @ self._across.T)

    def back(self, gradient: Tensor) -> Tensor:
        """Return the gradient of the stored poster (C, h, w) from that of the large one."""
        return self._down.T @ (gradient @ self._across)


def weights(source: int, target: int) -> Tensor:
    """Return what each of ``target`` pixels of an axis has of ``source`` ones: float32 (m, n)."""
    matrix = torch.zeros(target, source, dtype=torch.float64)
    first, second, near, far = map(torch.from_numpy, taps(source, target))
    at = torch.arange(target)
    # At an edge both are the same pixel.
    matrix[at, first] += near
    matrix[at, second] += far
    return (matrix / (2 * target)).float()


def reduced(poster: Tensor, size: Pair) -> Tensor:
    """Return a poster float32 (C, H, W) at the ``size`` (h, w) that is stored, to begin from."""
    if poster.shape[1:] == size:
        return poster
    return F.interpolate(poster[None], size, mode="bicubic", antialias=True)[0]
