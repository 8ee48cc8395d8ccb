"""What a decoded file gives: images with soft labels, gathered by index."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

if TYPE_CHECKING:
    from ..runtime.progress import Reporter

Device = torch.device | str


class Samples(ABC):
    """The decoded training set: ``len(self)`` images with one soft label each.

    Attributes:
        labels: soft labels, float32 (N, classes), rows sum to 1.
        image_shape: (C, H, W) of one sample.
        shares: where samples come in stages of equally many, one after the other, the probability
            with which each stage is drawn; None where all samples are alike.
        variations: where samples come in sets of equally many, one after the other, of which each
            epoch shows one, in turn: how many sets. 1 where every epoch shows all samples.

    Images are float32 in the space of the file's preprocessing (that of ``preprocess(x)``).
    """

    labels: NDArray[np.float32]
    image_shape: tuple[int, int, int]
    shares: tuple[float, ...] | None = None
    variations: int = 1

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def bytes(self) -> Samples | None:
        """The same samples before the preprocessing, uint8, where that is exact; else None."""
        return None

    @abstractmethod
    def gather(self, index: Tensor) -> Tensor:
        """Return the images at ``index`` (int64 (B,), 0 <= i < N) as float32 (B, C, H, W)."""

    @abstractmethod
    def to(self, device: Device) -> Samples:
        """Return the same samples with their storage on ``device`` (``gather`` answers there)."""

    def prepare(self, reporter: Reporter) -> None:  # noqa: B027
        """Make now what would be made when it is asked for, as far as memory goes."""
