"""Real images as network inputs: all made at once where they are few, else when asked for.

A preprocessing is exact for each image by itself, so both ways give the same bits.
"""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor

from .stored import Stored, in_parts
from .transform import Preprocess

HELD_BYTES = 3 << 28  # of float32 inputs on the CPU; what is larger is made as it is asked for
GPU_SHARE = 4  # of a GPU's memory, one part for inputs
AT_ONCE = 1 << 24  # values, made at a time while all are


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
            for part in in_parts(self.shape, AT_ONCE):
                self._inputs[part] = self._made(part)
        if self._inputs is None:
            return self._made(index)
        return self._inputs[index.to(self.device) if isinstance(index, Tensor) else index]

    def on(self, device: torch.device) -> RealImages:
        """Return the same images, given on another device."""
        return RealImages(self._images, self._preprocess, device)

    def under(self, preprocess: Preprocess) -> RealImages:
        """Return the same images under another preprocessing."""
        return RealImages(self._images, preprocess, self.device)

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
