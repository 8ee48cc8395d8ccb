"""Codec ``images``: anyone's distilled images with their labels, each stored as it is.

Images of uint8 are stored before preprocessing and preprocessed when they are read; images of
float32 are stored as networks see them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..shared.reading import Reading, StoredSamples

if TYPE_CHECKING:
    from ...format import ChunkReader, Manifest


class ImageSamples(StoredSamples):
    """Stored images, a tensor uint8 or float32 (N, C, H, W)."""

    def __init__(self, images: Tensor, labels: NDArray[np.float32], reading: Reading) -> None:
        _, channels, height, width = images.shape
        super().__init__(images, (channels, height, width), labels, reading)

    @property
    def bytes(self) -> Self | None:
        """The same samples as stored, where they are uint8; None where they are float32."""
        return super().bytes if self._store.dtype == torch.uint8 else None

    def stored(self, index: Tensor) -> Tensor:
        found: Tensor = self._store.index_select(0, index.to(self._store.device))
        return found


class ImageChunks:
    """Decodes a file in chunks, a stored image a sample."""

    per_row = 1  # samples of a stored image

    def __init__(self, manifest: Manifest) -> None:
        self._reading = Reading(manifest)

    def read(
        self, reader: ChunkReader, chunk: int, plain: bool = True
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        del plain
        return reader.read("images", chunk), reader.read("labels", chunk)

    def teacher(self, reader: ChunkReader) -> None:
        del reader

    def soft(self, labels: NDArray[Any]) -> NDArray[np.float32]:
        return self._reading.soft(labels)


def decode(manifest: Manifest, arrays: Mapping[str, NDArray[Any]]) -> ImageSamples:
    """Turn the arrays of an ``images`` file into samples; exact on every machine."""
    reading = Reading(manifest)
    return ImageSamples(torch.from_numpy(arrays["images"]), reading.soft(arrays["labels"]), reading)
