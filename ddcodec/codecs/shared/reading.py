"""From stored images and labels to training samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...preprocessing.transform import Preprocess, to_unit_range

if TYPE_CHECKING:
    from ...format import Manifest


class Reading:
    """How the stored images and labels of one file turn into training samples."""

    def __init__(self, manifest: Manifest) -> None:
        image = manifest.image
        self._spec: dict[str, Any] = image["preprocessing"]
        self._classes = len(manifest.classes)
        self.preprocess = Preprocess(self._spec, image["channels"], image["height"], image["width"])

    def ready(self, images: Tensor) -> Tensor:
        """Return stored images (B, C, H, W) as float32 in the space of the preprocessing."""
        return self.preprocess(images) if images.dtype == torch.uint8 else images

    def raw(self, images: Tensor) -> Tensor:
        """Return stored images before the preprocessing: uint8, or float32 where 0..1 is usual."""
        if images.dtype == torch.uint8:
            return images
        return torch.from_numpy(to_unit_range(images.cpu().numpy(), self._spec)).to(images.device)

    def soft(self, stored: NDArray[Any]) -> NDArray[np.float32]:
        """Return stored labels as float32 (N, classes), rows summing to 1.

        Indices become one-hot rows; a soft row is divided by its sum (specification, 8.2).
        """
        if stored.ndim == 1:
            one_hot = np.zeros((len(stored), self._classes), np.float32)
            one_hot[np.arange(len(stored)), stored] = 1
            return one_hot
        # A loop over columns: no library may then choose the order of the additions.
        mass = np.zeros(len(stored), np.float64)
        for column in stored.T:
            mass += column
        rows: NDArray[np.float32] = (stored.astype(np.float64) / mass[:, None]).astype(np.float32)
        return rows
