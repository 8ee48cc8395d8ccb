"""Images moved by affine maps as matrix products, with the adjoint by hand.

The engine's own way to do what ``augment.resample`` does. Bilinear weights are products of a tent
along each axis: a warp is one batched matrix product, its adjoint another. Nothing is added up
atomically, as the derivative of ``grid_sample`` is on GPUs, so results repeat to the bit.
"""

from __future__ import annotations

import torch
from torch import Tensor


def warp(x: Tensor, maps: Tensor) -> Tensor:
    """Return what ``resample`` does, by matrix products, for small images (memory N H W W C)."""
    n, channels, height, width = x.shape
    down, across = _tents(maps.to(x), height, width)
    rows = down @ x.permute(0, 2, 3, 1).reshape(n, height, width * channels)
    found = (rows.view(n, -1, width, channels) * across[..., None]).sum(2)
    return found.view(n, height, width, channels).permute(0, 3, 1, 2)


def warp_back(to: Tensor, maps: Tensor) -> Tensor:
    """Carry a gradient of the moved images (N, C, H, W) to the images before."""
    n, channels, height, width = to.shape
    down, across = _tents(maps.to(to), height, width)
    pixels = to.permute(0, 2, 3, 1).reshape(n, height * width, 1, channels)
    spread = (pixels * across[..., None]).view(n, height * width, width * channels)
    found = down.transpose(1, 2) @ spread
    return found.view(n, height, width, channels).permute(0, 3, 1, 2)


def _tents(maps: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Return the weights of rows (N, H W, H) and of columns (N, H W, W) for every pixel."""
    rows = torch.arange(height, device=maps.device, dtype=maps.dtype)
    columns = torch.arange(width, device=maps.device, dtype=maps.dtype)
    y = ((2 * rows + 1) / height - 1)[:, None].expand(height, width)
    x = ((2 * columns + 1) / width - 1)[None, :].expand(height, width)
    at = torch.stack([x, y, torch.ones_like(x)], 2).view(1, -1, 3)
    from_x, from_y = ((at @ maps.transpose(1, 2) + 1) / 2).unbind(2)
    across = (1 - (from_x[..., None] * width - 0.5 - columns).abs()).clamp_min(0)
    down = (1 - (from_y[..., None] * height - 0.5 - rows).abs()).clamp_min(0)
    return down, across
