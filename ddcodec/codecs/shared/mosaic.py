"""Mosaics: several images squeezed into the cells of one, and cells expanded to full size.

Expansion is bilinear with half-pixel centres and edges held, in integers with one rounding, so a
decoder gives the same bytes on every machine (specification, section 8.3).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import gcd

import torch
import torch.nn.functional as F
from torch import Tensor

from .grid import cell_edges

INT32_ROOM = 1 << 31


@dataclass(frozen=True)
class Taps:
    """One axis of the expansion of a cell: two source pixels and their weights an output pixel."""

    first: Tensor  # int64 (m,), positions within the cell
    second: Tensor
    weights: Tensor  # int64 (m, 2); the two of a pixel add up to ``scale``
    scale: int

    @classmethod
    def between(cls, source: int, target: int) -> Taps:
        """Return the taps that take ``source`` pixels to ``target``."""
        # Output pixel i has its centre at ((2 i + 1) source - target) / (2 target).
        place = (2 * torch.arange(target) + 1) * source - target
        whole = torch.div(place, 2 * target, rounding_mode="floor")
        rest = place - whole * 2 * target
        weights = torch.stack([2 * target - rest, rest], 1)
        common = gcd(2 * target, *weights.view(-1).tolist())
        first, second = (x.clamp(0, source - 1) for x in (whole, whole + 1))
        return cls(first, second, weights // common, 2 * target // common)


@dataclass(frozen=True)
class Mosaic:
    """A grid of cells on images of height x width pixels.

    Of an axis of length D with g cells, cell c covers pixels ceil(c D / g) to
    ceil((c + 1) D / g) - 1. Cells are numbered row by row.
    """

    height: int
    width: int
    rows: int
    columns: int

    @property
    def cells(self) -> int:
        """Images a mosaic holds (N in the paper)."""
        return self.rows * self.columns

    @property
    def regions(self) -> int:
        """Training images of a mosaic: its cells, and the mosaic itself where it has several."""
        return self.cells + (self.cells > 1)

    def box(self, cell: int) -> tuple[slice, slice]:
        """Return the rows and columns of pixels of a cell."""
        row, column = divmod(cell, self.columns)
        down, across = cell_edges(self.height, self.rows), cell_edges(self.width, self.columns)
        return slice(*down[row : row + 2]), slice(*across[column : column + 2])

    def size(self, cell: int) -> tuple[int, int]:
        """Return the pixels of a cell along both axes."""
        rows, columns = self.box(cell)
        return rows.stop - rows.start, columns.stop - columns.start

    def squeeze(self, images: Tensor) -> Tensor:
        """Return mosaics uint8 (B, C, H, W) of images uint8 (B x cells, C, H, W).

        Each image is reduced to its cell with an antialiased bicubic filter and rounded.
        """
        count, channels, height, width = images.shape
        groups = images.view(count // self.cells, self.cells, channels, height, width)
        out = torch.empty_like(groups[:, 0])
        for cell in range(self.cells):
            (rows, columns), size = self.box(cell), self.size(cell)
            part = groups[:, cell]
            if size != (height, width):
                scaled = F.interpolate(part.float(), size, mode="bicubic", antialias=True)
                part = scaled.round().clamp(0, 255).to(torch.uint8)
            out[:, :, rows, columns] = part
        return out

    def expand(self, mosaics: Tensor, cell: int) -> Tensor:
        """Return one cell of mosaics uint8 (B, C, H, W) at full size: uint8 (B, C, H, W), exact."""
        down, across = self._taps[cell]
        rows, columns = self.box(cell)
        scale = down.scale * across.scale
        dtype = torch.int32 if scale * 512 < INT32_ROOM else torch.int64
        x = mosaics[:, :, rows, columns].to(dtype)
        x = _along(x, 2, down, dtype)
        x = _along(x, 3, across, dtype)
        # The nearest integer, a half up.
        return ((2 * x + scale) // (2 * scale)).to(torch.uint8)

    def expand_smoothly(self, mosaics: Tensor) -> Tensor:
        """Return all cells of mosaics float32 (B, C, H, W) at full size, (B x cells, C, H, W).

        The same filter without its rounding; gradients flow through it.
        """
        out = []
        for cell in range(self.cells):
            rows, columns = self.box(cell)
            down, across = (m.to(mosaics) for m in self._matrices[cell])
            out.append(down @ mosaics[:, :, rows, columns] @ across.T)
        return torch.stack(out, 1).flatten(0, 1)

    def region(self, mosaics: Tensor, region: int) -> Tensor:
        """Return a region of mosaics uint8 (B, C, H, W): a cell at full size, or all of it."""
        return mosaics if region == self.cells else self.expand(mosaics, region)

    @cached_property
    def _taps(self) -> list[tuple[Taps, Taps]]:
        return [
            (Taps.between(height, self.height), Taps.between(width, self.width))
            for height, width in map(self.size, range(self.cells))
        ]

    @cached_property
    def _matrices(self) -> list[tuple[Tensor, Tensor]]:
        sizes = map(self.size, range(self.cells))
        return [
            (_matrix(down, height), _matrix(across, width))
            for (down, across), (height, width) in zip(self._taps, sizes, strict=True)
        ]


def _along(x: Tensor, axis: int, taps: Taps, dtype: torch.dtype) -> Tensor:
    weights = taps.weights.to(x.device, dtype)
    shape = [1] * x.ndim
    shape[axis] = len(weights)
    first, second = (
        x.index_select(axis, index.to(x.device)) * weights[:, k].view(shape)
        for k, index in enumerate((taps.first, taps.second))
    )
    return first + second


def _matrix(taps: Taps, source: int) -> Tensor:
    """Return the taps as a float32 matrix (m, source); rows sum to 1."""
    matrix = torch.zeros(len(taps.weights), source)
    place = torch.arange(len(taps.weights))
    for k, index in enumerate((taps.first, taps.second)):
        share = taps.weights[:, k].float() / taps.scale
        matrix.index_put_((place, index), share, accumulate=True)
    return matrix
