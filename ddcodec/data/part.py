"""Some of the samples of a file, as samples of their own."""

from __future__ import annotations

from torch import Tensor

from ..codecs.samples import Device, Samples


class PartOfSamples(Samples):
    """The samples of other samples in a range of their indices."""

    def __init__(self, samples: Samples, rows: range) -> None:
        """Take samples and a range with step 1."""
        self.labels = samples.labels[rows.start : rows.stop]
        self.image_shape = samples.image_shape
        self._samples, self._rows = samples, rows

    def gather(self, index: Tensor) -> Tensor:
        """Return the images at ``index`` (int64 (B,)) as float32 (B, C, H, W)."""
        return self._samples.gather(index + self._rows.start)

    def to(self, device: Device) -> PartOfSamples:
        """Return the same samples with their storage on ``device``."""
        return PartOfSamples(self._samples.to(device), self._rows)
