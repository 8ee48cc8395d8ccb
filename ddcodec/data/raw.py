"""Samples as they were before the preprocessing of their file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..codecs.samples import Device, Samples
from ..preprocessing.transform import is_whitening, mean_and_std, to_unit_range


class UnitSamples(Samples):
    """Other samples in units where 0 is black and 1 is white; nothing is clipped.

    Every value is computed in float64 and rounded once to float32. Whitening is undone as near as
    what it keeps allows.
    """

    def __init__(self, samples: Samples, spec: Mapping[str, Any]) -> None:
        """Take samples and ``image.preprocessing`` of their manifest."""
        self.labels, self.image_shape = samples.labels, samples.image_shape
        self.shares, self.variations = samples.shares, samples.variations
        self._samples, self._spec = samples, spec
        if is_whitening(spec):
            return
        self._mean, self._std = (
            torch.from_numpy(v)[:, None, None] for v in mean_and_std(spec, self.image_shape[0])
        )

    def gather(self, index: Tensor) -> Tensor:
        """Return the images at ``index`` (int64 (B,)) as float32 (B, C, H, W)."""
        x = self._samples.gather(index)
        if is_whitening(self._spec):
            return torch.from_numpy(to_unit_range(x.cpu().numpy(), self._spec)).to(x.device)
        return (x.double() * self._std.to(x.device) + self._mean.to(x.device)).float()

    def to(self, device: Device) -> UnitSamples:
        """Return the same samples with their storage on ``device``."""
        return UnitSamples(self._samples.to(device), self._spec)


def raw_samples(samples: Samples, spec: Mapping[str, Any]) -> Samples:
    """Return samples before preprocessing: stored bytes (uint8) as they are, else 0 to 1."""
    stored = samples.bytes
    return UnitSamples(samples, spec) if stored is None else stored
