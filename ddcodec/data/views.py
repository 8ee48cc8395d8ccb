"""Samples seen another way: some of them, in any order, or as pixels from 0 to 1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..codecs.samples import Device, Rows, Samples
from ..preprocessing.transform import is_whitening, mean_and_std, to_unit_range
from ..runtime.world import neutral_tensors


def places_of(index: Any, count: int) -> NDArray[np.int64]:
    """Return integers below ``count``, or the places of truth values (count,), as int64 (n,).

    Raises TypeError for other things, IndexError where there is no such image.
    """
    array = np.asarray(index.cpu() if isinstance(index, Tensor) else index)
    if array.ndim != 1 or (array.dtype.kind not in "iub" and len(array)):
        raise TypeError(f"images are chosen by integers (n,), not {array.dtype} {array.shape}")
    if array.dtype == np.bool_:
        if len(array) != count:
            raise IndexError(f"{len(array)} truth values for a data set of {count} images")
        return np.flatnonzero(array)
    outside = (array < -count) | (array >= count)
    if outside.any():
        wrong = array[outside][0]
        raise IndexError(f"index {wrong} is outside of a data set of {count} images")
    places = array.astype(np.int64)
    return np.where(places < 0, places + count, places)


class PartOfSamples(Samples):
    """Some of other samples, in any order."""

    def __init__(self, samples: Samples, index: NDArray[np.int64]) -> None:
        self.labels = samples.labels[index]
        self.image_shape, self.teacher = samples.image_shape, samples.teacher
        self._samples, self._index = samples, index

    @property
    def rows(self) -> Rows | None:
        whole = self._samples.rows
        if self._rows is None and whole is not None:
            with neutral_tensors():
                self._rows = Rows(whole.take(whole.index(self._index)))
        return self._rows

    def gather(self, index: Tensor) -> Tensor:
        return self._samples.gather(torch.from_numpy(self._index[index.cpu().numpy()]))

    def to(self, device: Device) -> PartOfSamples:
        return PartOfSamples(self._samples.to(device), self._index)


class UnitSamples(Samples):
    """Other samples in units where 0 is black and 1 is white; nothing is clipped.

    Every value is computed in float64 and rounded once to float32. Whitening is undone as near as
    what it keeps allows.
    """

    def __init__(self, samples: Samples, spec: Mapping[str, Any]) -> None:
        self.labels, self.image_shape = samples.labels, samples.image_shape
        self.shares, self.variations = samples.shares, samples.variations
        self._samples, self._spec = samples, spec
        if not is_whitening(spec):
            self._scale = [
                torch.from_numpy(values)[:, None, None]
                for values in mean_and_std(spec, self.image_shape[0])
            ]

    def gather(self, index: Tensor) -> Tensor:
        x = self._samples.gather(index)
        if is_whitening(self._spec):
            return torch.from_numpy(to_unit_range(x.cpu().numpy(), self._spec)).to(x.device)
        mean, std = self._scale
        return (x.double() * std + mean).float()

    def to(self, device: Device) -> UnitSamples:
        moved = UnitSamples(self._samples.to(device), self._spec)
        if not is_whitening(self._spec):
            moved._scale = [values.to(device) for values in self._scale]
        return moved


def raw_samples(samples: Samples, spec: Mapping[str, Any]) -> Samples:
    """Return samples before preprocessing: stored bytes (uint8) as they are, else 0 to 1."""
    stored = samples.bytes
    return UnitSamples(samples, spec) if stored is None else stored
