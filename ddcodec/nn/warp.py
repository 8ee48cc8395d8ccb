"""Images moved by affine maps: the maps that augmentations draw, and what they do to pixels.

A flip, a crop and a rotation differ in two rows of three numbers, so a step that was recorded
once can be replayed with any of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

ROTATION_DEGREES = 15.0
SMALL_ROTATION_DEGREES = 10.0
LARGEST_SCALE = 1.2


def rotations(n: int, height: int, width: int, generator: torch.Generator) -> Tensor:
    """Return maps (n, 2, 3) that turn about the centre by up to +-15 degrees."""
    return _turned(_angles(n, ROTATION_DEGREES, generator), torch.zeros(n, 2), height, width)


def small_moves(n: int, height: int, width: int, generator: torch.Generator) -> Tensor:
    """Return maps (n, 2, 3) that turn to +-10 degrees and move up to an eighth of a side."""
    angles = _angles(n, SMALL_ROTATION_DEGREES, generator)
    # In half sides, the unit of the sampling grid: an eighth of a side is 0.25.
    return _turned(angles, (torch.rand(n, 2, generator=generator) * 2 - 1) * 0.25, height, width)


def scalings(n: int, height: int, width: int, generator: torch.Generator) -> Tensor:
    """Return maps (n, 2, 3) that stretch by 1/1.2 to 1.2 in each direction."""
    low, high = 1 / LARGEST_SCALE, LARGEST_SCALE
    across, down = low + torch.rand(2, n, generator=generator) * (high - low)
    return _diagonal(across, down, torch.zeros(n, 2))


def mirrored(n: int, generator: torch.Generator) -> Tensor:
    """Return which of n images are mirrored left to right, bool (n,), each with probability .5."""
    return torch.rand(n, generator=generator) < 0.5


def offsets(n: int, height: int, width: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return whole pixels down and across, int64 (n,) each, up to an eighth of the side."""
    reach_y, reach_x = max(1, height // 8), max(1, width // 8)
    dy = torch.randint(-reach_y, reach_y + 1, (n,), generator=generator)
    return dy, torch.randint(-reach_x, reach_x + 1, (n,), generator=generator)


def _flips(n: int, height: int, width: int, generator: torch.Generator) -> Tensor:
    across = 1.0 - 2.0 * mirrored(n, generator)
    return _diagonal(across, torch.ones(n), torch.zeros(n, 2))


def _shifts(n: int, height: int, width: int, generator: torch.Generator) -> Tensor:
    dy, dx = offsets(n, height, width, generator)
    moves = torch.stack([2.0 * dx / width, 2.0 * dy / height], 1)
    return _diagonal(torch.ones(n), torch.ones(n), moves)


def _angles(n: int, degrees: float, generator: torch.Generator) -> Tensor:
    return (torch.rand(n, generator=generator) * 2 - 1) * math.radians(degrees)


def _turned(angles: Tensor, moves: Tensor, height: int, width: int) -> Tensor:
    # angles: radians (N,); moves: (x, y) of each image, in half sides (N, 2).
    sin, cos = angles.sin(), angles.cos()
    # The grid's axes have unit half sides; pixels are square, so other shapes need the ratio.
    ratio = height / width
    across = torch.stack([cos, sin * ratio, moves[:, 0]], 1)
    down = torch.stack([-sin / ratio, cos, moves[:, 1]], 1)
    return torch.stack([across, down], 1)


def _diagonal(across: Tensor, down: Tensor, moves: Tensor) -> Tensor:
    none = torch.zeros_like(across)
    first = torch.stack([across, none, moves[:, 0]], 1)
    return torch.stack([first, torch.stack([none, down, moves[:, 1]], 1)], 1)


Draw = Callable[[int, int, int, torch.Generator], Tensor]
# Names of ``AUGMENTATIONS`` that only move pixels; of several draws a batch takes one.
WARPS: dict[str, tuple[Draw, ...]] = {
    "flip": (_flips,),
    "flip_rotate": (_flips, rotations, _shifts),
    "flip_scale_rotate": (_flips, scalings, rotations),
    "shift": (_shifts,),
    "shift_rotate": (small_moves,),
}


def draw(name: str, shape: tuple[int, ...] | torch.Size, generator: torch.Generator) -> Tensor:
    """Return the maps (N, 2, 3) by which ``augment(x, name, generator)`` moves x of this shape.

    ``name`` is a key of ``WARPS``, ``shape`` (N, C, H, W). A map takes a pixel of the result to
    where it comes from, (x, y, 1) in half sides from the centre to (x, y).
    """
    draws = WARPS[name]
    choice = int(torch.randint(len(draws), (1,), generator=generator)) if len(draws) > 1 else 0
    n, _, height, width = shape
    return draws[choice](n, height, width, generator)


def resample(x: Tensor, maps: Tensor) -> Tensor:
    """Return images (N, C, H, W) moved by maps (N, 2, 3); bilinear, zeros outside."""
    grid = F.affine_grid(maps.to(x, non_blocking=True), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, align_corners=False)


def warp(x: Tensor, maps: Tensor) -> Tensor:
    """Return what ``resample`` does, by matrix products, for small images (memory N H W W C).

    Bilinear weights are products of a tent along each axis: a warp is one batched matrix product,
    its adjoint ``warp_back`` another. Nothing is added up atomically, as the derivative of
    ``grid_sample`` is on GPUs, so results repeat to the bit.
    """
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
