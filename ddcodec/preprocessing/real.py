"""Real images as network inputs: all made at once where they are few, else when asked for.

A preprocessing is exact for each image by itself, so both ways give the same bits.
"""

from __future__ import annotations

from math import prod
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .transform import Preprocess

HELD_BYTES = 3 << 28  # of float32 inputs on the CPU; what is larger is made as it is asked for
GPU_SHARE = 4  # of a GPU's memory, one part for inputs
AT_ONCE_BYTES = 1 << 26  # of float32 inputs, made at a time while all are


class Stored(Protocol):
    """8-bit images (N, H, W, C): an array, or what is read from where it lies."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, H, W, C)."""

    def __len__(self) -> int:
        """Return N."""

    def __getitem__(self, index: Any) -> NDArray[np.uint8]:
        """Return the images at a slice or at int64 (n,), uint8 (n, H, W, C)."""


class RealImages:
    """Images that indexing gives as float32 (n, C, H, W) on ``device``.

    Attributes:
        shape: (N, C, H, W), as a tensor of all would have.
        device: where they are given.
    """

    def __init__(self, images: Stored, preprocess: Preprocess, device: torch.device) -> None:
        count, height, width, channels = images.shape
        self.shape = (count, channels, height, width)
        self.device = device
        self._images, self._preprocess = images, preprocess
        self._inputs: Tensor | None = None

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def bytes_held(self) -> int:
        """Bytes of inputs that stay in memory; 0 where they are made as they are asked for."""
        size = 4 * prod(self.shape)
        return size if size <= most_held(self.device) else 0

    def __getitem__(self, index: Tensor | slice) -> Tensor:
        """Return the images at a slice, at int64 (n,) or where bool (N,) is true."""
        if self._inputs is None and self.bytes_held:
            self._inputs = torch.empty(self.shape, device=self.device)
            step = max(1, AT_ONCE_BYTES // (4 * prod(self.shape[1:])))
            for start in range(0, len(self), step):
                part = slice(start, start + step)
                self._inputs[part] = self._made(part)
        return self._made(index) if self._inputs is None else self._inputs[index]

    def _made(self, index: Tensor | slice) -> Tensor:
        if isinstance(index, Tensor):
            index = index.nonzero()[:, 0] if index.dtype == torch.bool else index
            return self._preprocess(self._images[index.cpu().numpy()]).to(self.device)
        return self._preprocess(self._images[index]).to(self.device)


def most_held(device: torch.device) -> int:
    """Return the most bytes of inputs that are held on a device."""
    if device.type != "cuda":
        return HELD_BYTES
    return int(torch.cuda.get_device_properties(device).total_memory) // GPU_SHARE
