"""How exactly a file holds poster and labels, and the same rounding while they are distilled."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import UsageError
from ...format import Storage, dequantise
from ...format.payload import quantise_as

# Bits of poster and labels; None is float32.
NAMED: dict[str, tuple[int | None, int | None]] = {
    "lossless": (None, None),
    "high": (8, 6),
    "small": (4, 4),
}
AWARE_BITS = 6  # from here down the last stage sees the poster rounded; above it costs nothing


@dataclass(frozen=True)
class StoredBits:
    """Bits of what a file stores, 2 to 8 or None for float32.

    The levels of the poster are even, over the range of each channel.
    """

    poster_bits: int | None = 8
    label_bits: int | None = 6

    @classmethod
    def of(cls, quality: str) -> StoredBits:
        """Return what a value of ``quality`` asks for; raises UsageError."""
        if quality in NAMED:
            return cls(*NAMED[quality])
        match = re.fullmatch(r"bits=([2-8])", quality)
        if not match:
            raise UsageError(
                "`quality` must be lossless, high, small or bits=N with N from 2 to 8, got "
                f"{quality!r}"
            )
        return cls(int(match[1]), min(6, max(4, int(match[1]))))

    @property
    def is_low(self) -> bool:
        """Whether rounding costs accuracy unless the distillation sees it."""
        return self.poster_bits is not None and self.poster_bits <= AWARE_BITS

    @property
    def poster(self) -> Storage:
        """How the poster is stored."""
        return Storage(bits=self.poster_bits, per_channel=self.poster_bits is not None)

    @property
    def labels(self) -> Storage:
        """How a label array is stored; squares are fine near zero, where most of it lies."""
        if self.label_bits is None:
            return Storage()
        return Storage(bits=self.label_bits, kind="square")

    def rounded(self, poster: Tensor) -> Tensor:
        """Return poster float32 (C, H, W) as the file will hold it, on the same device."""
        return _stored(poster, self.poster)

    def rounded_labels(self, array: Tensor) -> Tensor:
        """Return a label array float32 (cells, n) as the file will hold it."""
        return _stored(array, self.labels)


def _stored(values: Tensor, storage: Storage) -> Tensor:
    if storage.bits is None:
        return values
    array: NDArray[np.float32] = values.detach().cpu().numpy()
    return torch.from_numpy(dequantise(*quantise_as(array, storage))).to(values.device)
