"""Tolerant fingerprints: is this the model that the file was made with, up to rounding?

The fingerprint of a class is its first image as a grey thumbnail of 4 x 4. Two images of one class
by different models differ by tens of levels in it, the same image computed elsewhere by less than
one; the threshold lies between (measured in docs/d3m.md).
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ...errors import Unsupported
from .rules import THUMBNAIL

MOST = 8.0  # levels of 255, mean over the thumbnails of all classes compared
WORST = 32.0  # levels that one class counts at most: one image gone astray is no other model
FIRST = 8  # classes that are compared before anything else is made


def thumbnail(images: Tensor) -> NDArray[np.uint8]:
    """Return fingerprints uint8 (n, 4, 4) of images uint8 (n, C, H, W)."""
    grey = images.double().mean(1, keepdim=True)
    small = F.adaptive_avg_pool2d(grey, THUMBNAIL)[:, 0]
    found: NDArray[np.uint8] = small.round().to(torch.uint8).cpu().numpy()
    return found


class Watch:
    """Compares the first image of each class, as they are made, with what a file says of them."""

    def __init__(self, expected: NDArray[np.uint8], name: str) -> None:
        """Take the fingerprints (classes, 4, 4) of a file and the name of the model."""
        self._expected, self._name = expected, name
        self._seen: dict[int, float] = {}

    @property
    def difference(self) -> float:
        """Levels by which thumbnails differ, mean over all classes compared; 0 before."""
        return sum(self._seen.values()) / max(1, len(self._seen))

    def to_check(self) -> list[int]:
        """Return the classes to compare before anything else; none once that was done."""
        if self._seen:
            return []
        count = len(self._expected)
        shown = min(FIRST, count)
        return [i * (count - 1) // max(1, shown - 1) for i in range(shown)]

    def compare(self, label: int, image: Tensor) -> None:
        """Look at the first image of a class, uint8 (C, H, W)."""
        if label not in self._seen:
            found = thumbnail(image[None])[0].astype(np.float64)
            off = float(np.abs(found - self._expected[label]).mean())
            self._seen[label] = min(off, WORST)

    def require(self) -> None:
        """Raise Unsupported where the images are not those of the file."""
        if self.difference > MOST:
            raise Unsupported(
                f"{self._name}: the weights are right, but the images are not those that the file "
                f"was made with: fingerprints differ by {self.difference:.1f} of 255 levels, "
                f"rounding gives less than {MOST:g}; use the versions of diffusers and "
                "transformers of its time"
            )
