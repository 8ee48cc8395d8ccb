"""From stored images and labels to training samples."""

from __future__ import annotations

import copy
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...preprocessing.transform import Preprocess, to_unit_range
from ..samples import Device, Samples
from .labels import shares

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
        return shares(stored.astype(np.float64))


class StoredSamples(Samples):
    """Samples of stored images, preprocessed as they are gathered, or as they are stored."""

    def __init__(
        self,
        store: Any,
        image_shape: tuple[int, int, int],
        labels: NDArray[np.float32],
        reading: Reading,
    ) -> None:
        """Take what holds the images, a tensor or another thing that ``to`` moves."""
        self.labels, self.image_shape = labels, image_shape
        self._store, self._reading, self._raw = store, reading, False

    @abstractmethod
    def stored(self, index: Tensor) -> Tensor:
        """Return the images at ``index`` (int64 (B,)) as they are stored, (B, C, H, W)."""

    @property
    def bytes(self) -> Self | None:
        other = copy.copy(self)
        other._raw, other.teacher = True, None
        return other

    def gather(self, index: Tensor) -> Tensor:
        if self._rows is not None:
            return self._rows.tensor.index_select(0, index.to(self._rows.tensor.device))
        found = self.stored(index)
        return found if self._raw else self._reading.ready(found)

    def to(self, device: Device) -> Self:
        other = copy.copy(self)
        other._store = self._store.to(device)
        other.teacher = None if self.teacher is None else self.teacher.to(device)
        return other
