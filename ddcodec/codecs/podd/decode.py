"""Poster and labels back to a training set: patches are views, labels are pooled once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...format import Manifest
from ..base import Device, Samples
from .labels import fixed_labels, pool, pooling_weights
from .order import ClassOrder
from .poster import PosterGeometry


def geometry_of(manifest: Manifest) -> PosterGeometry:
    """Return the patch geometry that the manifest of a PoDD file states."""
    assert manifest.patches is not None  # the reader refuses a PoDD manifest without it
    _, height, width = manifest.tensors["poster"].shape
    patch_h, patch_w = manifest.patches["size"]
    patches_x, patches_y = manifest.patches["grid"]
    return PosterGeometry(height, width, patch_h, patch_w, patches_x, patches_y)


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
    """Patches of a poster, cut on demand (paper section 4.1); no patch is stored twice.

    Attributes:
        poster: float32 (C, H, W).
        rows, columns: int64 (N, h) and (N, w), the poster rows and columns of each patch.
    """

    poster: Tensor
    rows: Tensor
    columns: Tensor
    labels: NDArray[np.float32]
    image_shape: tuple[int, int, int]

    @classmethod
    def from_poster(
        cls, poster: Tensor, geometry: PosterGeometry, labels: NDArray[np.float32]
    ) -> PosterSamples:
        """Prepare the row and column indices of every patch, in patch order (x outer)."""
        y = torch.tensor(geometry.origins_y)
        x = torch.tensor(geometry.origins_x)
        rows = y[:, None] + torch.arange(geometry.patch_h)  # (p_y, h)
        columns = x[:, None] + torch.arange(geometry.patch_w)  # (p_x, w)
        p_y, p_x = geometry.patches_y, geometry.patches_x
        shape = (poster.shape[0], geometry.patch_h, geometry.patch_w)
        return cls(
            poster, rows.repeat(p_x, 1), columns.repeat_interleave(p_y, dim=0), labels, shape
        ).to(poster.device)

    def gather(self, index: Tensor) -> Tensor:
        """Cut the patches at ``index`` (int64 (B,)) out of the poster: float32 (B, C, h, w)."""
        index = index.to(self.poster.device)
        rows, columns = self.rows[index], self.columns[index]
        # One advanced indexing call: (C, B, h, w), copied once into batch order.
        patches = self.poster[:, rows[:, :, None], columns[:, None, :]]
        return patches.transpose(0, 1).contiguous()

    def to(self, device: Device) -> PosterSamples:
        """Return the samples with poster and indices on ``device``."""
        return PosterSamples(
            self.poster.to(device),
            self.rows.to(device),
            self.columns.to(device),
            self.labels,
            self.image_shape,
        )


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
    poster = torch.from_numpy(np.ascontiguousarray(arrays["poster"], dtype=np.float32))
    return PosterSamples.from_poster(poster, geometry, labels)
