"""Poster and labels back to a training set: patches are views, labels are pooled once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...format import Manifest
from ..samples import Device, Samples
from .labels import fixed_labels, pool, pooling_weights
from .order import ClassOrder
from .poster import PosterGeometry
from .poster_file import poster_of, poster_size


def geometry_of(manifest: Manifest) -> PosterGeometry:
    """Return the patch geometry that the manifest of a PoDD file states."""
    assert manifest.patches is not None  # the reader refuses a PoDD manifest without it
    height, width = poster_size(manifest)
    patch_h, patch_w = manifest.patches["size"]
    patches_x, patches_y = manifest.patches["grid"]
    rule, cells = manifest.patches["origins"], order_of(manifest).grid
    return PosterGeometry(height, width, patch_h, patch_w, patches_x, patches_y, rule, cells)


def order_of(manifest: Manifest) -> ClassOrder:
    """Return the class order that the manifest of a PoDD file states."""
    order = manifest.order
    assert order is not None  # the reader refuses a PoDD manifest without it
    grid_x, grid_y = order["grid"]
    return ClassOrder(
        (grid_x, grid_y), tuple(order["cells"]), order.get("rule", ""), order.get("score")
    )


@dataclass
class PosterSamples(Samples):
    """Patches of a poster, cut on demand (paper section 4.1).

    A batch is gathered from a view of all windows of the poster, so no patch is stored. Where all
    patches together are small they are cut once (``rows``): an index into rows that lie in a
    piece is several times faster than one into windows.

    Attributes:
        poster: float32 (C, H, W).
        top, left: int64 (N,), the origin of each patch, in patch order (x outer).
        shares: see ``Samples``.
    """

    poster: Tensor
    top: Tensor
    left: Tensor
    labels: NDArray[np.float32]
    image_shape: tuple[int, int, int]
    shares: tuple[float, ...] | None = None

    @classmethod
    def from_poster(
        cls, poster: Tensor, geometry: PosterGeometry, labels: NDArray[np.float32]
    ) -> PosterSamples:
        """Prepare the origin of every patch of a poster float32 (C, H, W)."""
        top = torch.tensor(geometry.origins_y).repeat(geometry.patches_x)
        left = torch.tensor(geometry.origins_x).repeat_interleave(geometry.patches_y)
        shape = (poster.shape[0], geometry.patch_h, geometry.patch_w)
        return cls(poster.contiguous(), top, left, labels, shape).to(poster.device)

    def gather(self, index: Tensor) -> Tensor:
        """Cut the patches at ``index`` (int64 (B,)) out of the poster: float32 (B, C, h, w)."""
        index = index.to(self.poster.device)
        if self._rows is not None:
            return self._rows.tensor.index_select(0, index)
        return self._windows()[self.top[index], self.left[index]]

    def _windows(self) -> Tensor:
        """Return every window of the poster as a view, (H - h + 1, W - w + 1, C, h, w)."""
        (channels, height, width), (_, h, w) = self.poster.shape, self.image_shape
        shape = (height - h + 1, width - w + 1, channels, h, w)
        return self.poster.as_strided(shape, (width, 1, height * width, width, 1))

    def to(self, device: Device) -> PosterSamples:
        """Return the samples with poster and origins on ``device``."""
        poster, top, left = (x.to(device) for x in (self.poster, self.top, self.left))
        return replace(self, poster=poster, top=top, left=left)


def decode(manifest: Manifest, arrays: Mapping[str, NDArray[np.generic]]) -> PosterSamples:
    """Turn a PoDD file's arrays into samples; exact on every machine."""
    geometry = geometry_of(manifest)
    order = order_of(manifest)
    if manifest.labels["kind"] == "fixed":
        labels = fixed_labels(geometry, order, len(manifest.classes))
    else:
        grid_x, grid_y = manifest.labels["grid"]
        weights = pooling_weights(geometry, (grid_x, grid_y), manifest.labels["pooling"])
        labels = pool(arrays["labels"].astype(np.float32, copy=False), weights)
    poster = torch.from_numpy(poster_of(manifest, arrays))
    return PosterSamples.from_poster(poster, geometry, labels)
