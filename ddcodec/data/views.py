"""The samples of a file seen in another way: a part of them, or as before the preprocessing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..codecs.samples import Device, Samples
from ..preprocessing.transform import is_whitening, mean_and_std, to_unit_range


class PartOfSamples(Samples):
    """The samples of other samples in a range of their indices, with step 1."""

    def __init__(self, samples: Samples, rows: range) -> None:
        self.labels = samples.labels[rows.start : rows.stop]
        self.image_shape = samples.image_shape
        self._samples, self._rows = samples, rows

    def gather(self, index: Tensor) -> Tensor:
        return self._samples.gather(index + self._rows.start)

    def to(self, device: Device) -> PartOfSamples:
        return PartOfSamples(self._samples.to(device), self._rows)


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
        x = self._samples.gather(index)
        if is_whitening(self._spec):
            return torch.from_numpy(to_unit_range(x.cpu().numpy(), self._spec)).to(x.device)
        return (x.double() * self._std.to(x.device) + self._mean.to(x.device)).float()

    def to(self, device: Device) -> UnitSamples:
        return UnitSamples(self._samples.to(device), self._spec)


def raw_samples(samples: Samples, spec: Mapping[str, Any]) -> Samples:
    """Return samples before preprocessing: stored bytes (uint8) as they are, else 0 to 1."""
    stored = samples.bytes
    return UnitSamples(samples, spec) if stored is None else stored
