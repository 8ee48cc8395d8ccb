"""Augmentation of whole batches, linear in the pixels and driven by an explicit generator.

Every augmentation is a gather with weights that do not depend on the images, so gradients of
gradients flow through it as through a matrix.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ..errors import UsageError

ROTATION_DEGREES = 15.0


def augment(x: Tensor, name: str, generator: torch.Generator) -> Tensor:
    """Return images (N, C, H, W) augmented as ``name`` says: none, flip_rotate or shift."""
    if name not in AUGMENTATIONS:
        raise UsageError(f"unknown augmentation '{name}'; known: {', '.join(AUGMENTATIONS)}")
    return AUGMENTATIONS[name](x, generator)


def flip_rotate(x: Tensor, generator: torch.Generator) -> Tensor:
    """One of horizontal flip (p = .5 an image), rotation to +-15 degrees, or crop, a batch.

    The augmentation of the method's own code, for distilled and for real batches.
    """
    choice = int(torch.randint(3, (1,), generator=generator))
    return (flip, rotate, shift)[choice](x, generator)


def flip(x: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror each image left to right with probability .5."""
    mirrored = torch.rand(len(x), generator=generator).to(x.device) < 0.5
    return torch.where(mirrored[:, None, None, None], x.flip(3), x)


def shift(x: Tensor, generator: torch.Generator) -> Tensor:
    """Move each image by up to an eighth of its side (crop with zero padding)."""
    n, _, height, width = x.shape
    reach_y, reach_x = max(1, height // 8), max(1, width // 8)
    dy = torch.randint(-reach_y, reach_y + 1, (n,), generator=generator)
    dx = torch.randint(-reach_x, reach_x + 1, (n,), generator=generator)
    rows = torch.arange(height)[None, :, None] + dy[:, None, None]
    columns = torch.arange(width)[None, None, :] + dx[:, None, None]
    return _pick(x, rows.expand(n, height, width), columns.expand(n, height, width))


def rotate(x: Tensor, generator: torch.Generator) -> Tensor:
    """Rotate each image about its centre, angle uniform in +-15 degrees, bilinear, zeros outside."""
    n, _, height, width = x.shape
    angle = (torch.rand(n, generator=generator) * 2 - 1) * math.radians(ROTATION_DEGREES)
    sin, cos = angle.sin()[:, None, None], angle.cos()[:, None, None]
    y = torch.arange(height)[None, :, None] - (height - 1) / 2
    u = torch.arange(width)[None, None, :] - (width - 1) / 2
    rows = cos * y - sin * u + (height - 1) / 2
    columns = sin * y + cos * u + (width - 1) / 2
    top, left = rows.floor(), columns.floor()
    below, right = rows - top, columns - left
    out = torch.zeros_like(x)
    for dy, weight_y in ((0, 1 - below), (1, below)):
        for dx, weight_x in ((0, 1 - right), (1, right)):
            weight = (weight_y * weight_x).to(x)[:, None]
            out = out + weight * _pick(x, top.long() + dy, left.long() + dx)
    return out


def _pick(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    # rows, columns: int64 (N, H, W) on the CPU; places outside the image give zero.
    n, channels, height, width = x.shape
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    flat = rows.clamp(0, height - 1) * width + columns.clamp(0, width - 1)
    index = flat.view(n, 1, -1).expand(n, channels, -1).to(x.device)
    picked = x.flatten(2).gather(2, index).view_as(x)
    return picked * inside[:, None].to(x)


def _same(x: Tensor, generator: torch.Generator) -> Tensor:
    del generator
    return x


AUGMENTATIONS: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = {
    "none": _same,
    "flip_rotate": flip_rotate,
    "shift": shift,
}
