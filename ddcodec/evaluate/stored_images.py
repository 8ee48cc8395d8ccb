"""Real images as training images: 8 bits a value until they are asked for."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..codecs.samples import Device, Samples
from ..preprocessing.real import RealImages


class StoredImages(Samples):
    """8-bit images that are preprocessed when they are gathered, or at once where they are few."""

    def __init__(self, images: RealImages, labels: NDArray[np.float32]) -> None:
        self.labels = labels
        _, channels, height, width = images.shape
        self.image_shape = channels, height, width
        self._images = images

    def gather(self, index: Tensor) -> Tensor:
        """Return the images at ``index`` (int64 (B,)) as float32 (B, C, H, W)."""
        return self._images[index]

    def to(self, device: Device) -> StoredImages:
        """Return the same images on ``device``."""
        return StoredImages(self._images.on(torch.device(device)), self.labels)
