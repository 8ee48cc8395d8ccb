"""The two things a PoDD encode optimises: the poster and, where they are learned, its labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .frequencies import rounded, step_for
from .growing import Growth
from .labels import project_labels
from .poster import PosterGeometry
from .stored import StoredBits

STEP = "coefficients.step"  # in what is kept


class PosterVariables:
    """Poster and label array, their differentiable expansion, and the way back for gradients.

    Attributes:
        poster: float32 (C, h, w), in the preprocessed space, as it is stored: of the size that
            ``geometry`` has, or smaller.
        label_array: float32 (cells, n), non-negative, or None where labels are fixed.
        fixed: float32 (P, n), the labels of every patch where they are fixed, or None.
        coded_bytes: what coefficients of the poster are to take in a file, about; None where
            its pixels are stored. step: of these coefficients, once it is settled.
    """

    coded_bytes: int | None = None
    step: float | None = None

    def __init__(
        self,
        geometry: PosterGeometry,
        poster: Tensor,
        *,
        fixed: NDArray[np.float32] | None = None,
        label_array: NDArray[np.float32] | None = None,
        weights: NDArray[np.float64] | None = None,
        owners: NDArray[np.int64] | None = None,
        label_floor: float = 0.0,
    ) -> None:
        device = poster.device
        self.geometry = geometry
        self.poster = poster
        stored, size = (poster.shape[1], poster.shape[2]), (geometry.height, geometry.width)
        self._growth = None if stored == size else Growth(stored, size, device)
        self.fixed = None if fixed is None else torch.from_numpy(fixed).to(device)
        self.label_array: Tensor | None = None
        self.owners = owners
        self.label_floor = label_floor
        if label_array is not None:
            assert weights is not None
            n = label_array.shape[-1]
            self.label_array = torch.from_numpy(label_array.reshape(-1, n).copy()).to(device)
            self._weights = torch.from_numpy(weights.astype(np.float32)).to(device)
        y = torch.tensor(geometry.origins_y, device=device)
        x = torch.tensor(geometry.origins_x, device=device)
        down = torch.arange(geometry.patch_h, device=device)
        across = torch.arange(geometry.patch_w, device=device)
        self._rows = (y[:, None] + down).reshape(-1)
        self._columns = (x[:, None] + across).reshape(-1)

    @property
    def learned(self) -> dict[str, Tensor]:
        """What learns, in place: ``poster`` and, where they do, ``labels``."""
        found = {"poster": self.poster}
        return found if self.label_array is None else {**found, "labels": self.label_array}

    def set(self, values: Mapping[str, Tensor]) -> None:
        """Copy values of ``learned``, and of ``kept`` where they are there."""
        for name, tensor in self.learned.items():
            tensor.copy_(values[name])
        self.step = float(values[STEP]) if STEP in values else None

    def settle(self) -> float | None:
        """Fix the step of coefficients by what the poster is now, unless that is done; return it.

        None where pixels are stored.
        """
        self.step = self._present_step()
        return self.step

    def _present_step(self) -> float | None:
        if self.step is not None or self.coded_bytes is None:
            return self.step
        return step_for(self.poster, self.coded_bytes)

    def full(self, stored: StoredBits | None = None) -> Tensor:
        """Return the poster that patches are cut from, float32 (C, H, W).

        With ``stored`` that of a file.
        """
        poster = self.poster if stored is None else self._rounded(stored)
        return poster if self._growth is None else self._growth.of(poster)

    def _rounded(self, stored: StoredBits) -> Tensor:
        step = self._present_step()
        return stored.rounded(self.poster) if step is None else rounded(self.poster, step)

    def patches(self, stored: StoredBits | None = None) -> Tensor:
        """Return all patches, float32 (P, C, h, w), in patch order (x outer, y inner).

        With ``stored`` they are cut from the poster as the file would hold it.
        """
        g = self.geometry
        channels = self.poster.shape[0]
        poster = self.full(stored)
        # Two separable gathers: several times faster than a loop over crops or an unfold.
        rows = poster.index_select(1, self._rows)
        cut = rows.index_select(2, self._columns)
        cut = cut.view(channels, g.patches_y, g.patch_h, g.patches_x, g.patch_w)
        return cut.permute(3, 1, 0, 2, 4).reshape(-1, channels, g.patch_h, g.patch_w)

    def labels(self, stored: StoredBits | None = None) -> Tensor:
        """Return the soft labels of all patches, float32 (P, n), rows summing to 1."""
        if self.label_array is None:
            assert self.fixed is not None
            return self.fixed
        array = self.label_array
        pooled = self._weights @ (array if stored is None else stored.rounded_labels(array))
        return pooled / pooled.sum(1, keepdim=True)

    def expand(self, stored: StoredBits | None = None) -> tuple[Tensor, Tensor]:
        """Return (patches, labels) as leaves that an engine may differentiate.

        Rounding has no derivative; ``pull_back`` passes straight through it.
        """
        with torch.no_grad():
            return self.patches(stored), self.labels(stored)

    def draw(self, size: int, steps: int, g: torch.Generator) -> list[Tensor | None]:
        """Return the patches of ``steps`` inner batches, int64 (size,) each.

        None stands for all patches; so does a ``size`` of 0, or of as many as there are.
        """
        patches = self.geometry.num_patches
        if size == 0 or size >= patches:
            return [None] * steps
        return self._moved([torch.randperm(patches, generator=g)[:size] for _ in range(steps)])

    def _moved(self, draws: list[Tensor]) -> list[Tensor | None]:
        """Carry index tensors of one length to the device in one piece, without waiting for it."""
        if not draws:
            return []
        return list(torch.stack(draws).to(self.poster.device, non_blocking=True).unbind())

    def kept(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return what a checkpoint must hold beside poster and labels: tensors, JSON values."""
        if self.step is None:
            return {}, {}
        return {STEP: torch.tensor(self.step, dtype=torch.float64)}, {}

    def pull_back(self, grad_patches: Tensor, grad_labels: Tensor | None) -> list[Tensor]:
        """Carry gradients of patches (P, C, h, w) and labels (P, n) back to what is ``learned``."""
        g = self.geometry
        channels = self.poster.shape[0]
        shape = (g.patches_x, g.patches_y, channels, g.patch_h, g.patch_w)
        cut = grad_patches.view(shape).permute(2, 1, 3, 0, 4)
        cut = cut.reshape(channels, g.patches_y * g.patch_h, g.patches_x * g.patch_w)
        add = added_by_index if cut.device.type == "cpu" else added_by_products
        poster = add(cut, self._rows, self._columns, (g.height, g.width))
        if self._growth is not None:
            poster = self._growth.back(poster)
        if self.label_array is None or grad_labels is None:
            return [poster]
        array = self.label_array.detach().requires_grad_()
        pooled = self._weights @ array
        labels = pooled / pooled.sum(1, keepdim=True)
        (labels_gradient,) = torch.autograd.grad(labels, array, grad_labels)
        return [poster, labels_gradient]

    def project(self) -> None:
        """Clip the labels to >= 0 (paper section 4.3) and keep each cell's owner above the floor.

        The floor is what keeps learned labels from running to uniform.
        """
        if self.label_array is None:
            return
        assert self.owners is not None
        array = self.label_array.cpu().numpy()
        projected = project_labels(array, self.owners, self.label_floor)
        self.label_array.copy_(torch.from_numpy(projected), non_blocking=True)


def added_by_index(cut: Tensor, rows: Tensor, columns: Tensor, size: tuple[int, int]) -> Tensor:
    """Add up values (C, R, K), of row ``rows`` (R,) and column ``columns`` (K,), to (C, *size)."""
    height, width = size
    wide = cut.new_zeros(len(cut), len(rows), width).index_add_(2, columns, cut)
    return cut.new_zeros(len(cut), height, width).index_add_(1, rows, wide)


def added_by_products(cut: Tensor, rows: Tensor, columns: Tensor, size: tuple[int, int]) -> Tensor:
    """Do the same by matrix products: GPUs would add in no fixed order otherwise."""
    down, across = (
        (index[:, None] == torch.arange(count, device=index.device)).to(cut.dtype)
        for index, count in zip((rows, columns), size, strict=True)
    )
    return down.T @ (cut @ across)
