"""Codec ``images``: anyone's distilled images with their labels, each stored as it is.

Images of uint8 are stored before preprocessing and preprocessed when they are read; images of
float32 are stored as networks see them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..samples import Device, Samples
from ..shared.reading import Reading

if TYPE_CHECKING:
    from ...format import ChunkReader, Manifest


class ImageSamples(Samples):
    """Stored images, preprocessed as they are gathered."""

    def __init__(
        self, images: Tensor, labels: NDArray[np.float32], reading: Reading, raw: bool = False
    ) -> None:
        """Take images uint8 or float32 (N, C, H, W) and soft labels float32 (N, classes).

        With ``raw`` they are gathered as they are stored.
        """
        self.labels = labels
        self.image_shape = (int(images.shape[1]), int(images.shape[2]), int(images.shape[3]))
        self._images, self._reading, self._raw = images, reading, raw

    @property
    def bytes(self) -> ImageSamples | None:
        """The same samples as stored, where they are uint8; None where they are float32."""
        if self._images.dtype != torch.uint8:
            return None
        return ImageSamples(self._images, self.labels, self._reading, raw=True)

    def gather(self, index: Tensor) -> Tensor:
        """Return the images at ``index`` (int64 (B,)): float32 (B, C, H, W), or as stored."""
        stored = self._images.index_select(0, index.to(self._images.device))
        return stored if self._raw else self._reading.ready(stored)

    def to(self, device: Device) -> ImageSamples:
        """Return the same samples with the images on ``device``."""
        return ImageSamples(self._images.to(device), self.labels, self._reading, self._raw)


class ImageChunks:
    """Decodes a file in chunks, a stored image a sample."""

    per_row = 1  # samples of a stored image

    def __init__(self, manifest: Manifest) -> None:
        self._reading = Reading(manifest)

    def read(self, reader: ChunkReader, chunk: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return images (n, C, H, W) and labels of a chunk, both as they are stored."""
        return reader.read("images", chunk), reader.read("labels", chunk)

    def soft(self, labels: NDArray[Any]) -> NDArray[np.float32]:
        """Return labels that ``read`` gave as soft labels float32 (n, classes)."""
        return self._reading.soft(labels)


def decode(manifest: Manifest, arrays: Mapping[str, NDArray[Any]]) -> ImageSamples:
    """Turn the arrays of an ``images`` file into samples; exact on every machine."""
    reading = Reading(manifest)
    return ImageSamples(torch.from_numpy(arrays["images"]), reading.soft(arrays["labels"]), reading)
