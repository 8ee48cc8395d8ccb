"""Augmentation of whole batches, affine in the pixels and driven by an explicit generator.

Geometry and colour change with weights that do not depend on the images, so gradients of
gradients flow through it as through a matrix. Random numbers are drawn on the CPU and moved.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..errors import UsageError
from .warp import Draw, mirrored, offsets, resample, rotations, scalings, small_moves

Augment = Callable[[Tensor, torch.Generator], Tensor]


def augment(x: Tensor, name: str, generator: torch.Generator) -> Tensor:
    """Return images (N, C, H, W) augmented as ``name``, a key of ``AUGMENTATIONS``, says.

    Raises UsageError for an unknown name.
    """
    if name not in AUGMENTATIONS:
        raise UsageError(f"unknown augmentation '{name}'; known: {', '.join(AUGMENTATIONS)}")
    return AUGMENTATIONS[name](x, generator)


def flip(x: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror each image left to right with probability .5."""
    chosen = mirrored(len(x), generator).to(x.device, non_blocking=True)
    return torch.where(chosen[:, None, None, None], x.flip(3), x)


def shift(x: Tensor, generator: torch.Generator) -> Tensor:
    """Move each image by whole pixels, up to an eighth of its side (crop with zero padding)."""
    n, channels, height, width = x.shape
    dy, dx = offsets(n, height, width, generator)
    rows = (torch.arange(height) + dy[:, None])[:, :, None]
    columns = (torch.arange(width) + dx[:, None])[:, None, :]
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    flat = rows.clamp(0, height - 1) * width + columns.clamp(0, width - 1)
    flat = flat.to(x.device, non_blocking=True)
    index = flat.view(n, 1, -1).expand(n, channels, -1)
    picked = x.flatten(2).gather(2, index).view_as(x)
    return picked * inside[:, None].to(x, non_blocking=True)


def cutout(x: Tensor, generator: torch.Generator) -> Tensor:
    """Put zeros in a square of half a side at a random place, partly outside, in each image."""
    n, _, height, width = x.shape
    half_y, half_x = height // 2, width // 2
    centre_y = torch.randint(height + 1, (n, 1), generator=generator)
    centre_x = torch.randint(width + 1, (n, 1), generator=generator)
    rows, columns = torch.arange(height), torch.arange(width)
    above, left = centre_y - half_y // 2, centre_x - half_x // 2
    inside_y = (rows >= above) & (rows < above + half_y)
    inside_x = (columns >= left) & (columns < left + half_x)
    kept = ~(inside_y[:, None, :, None] & inside_x[:, None, None, :])
    return x * kept.to(x, non_blocking=True)


def colour(x: Tensor, generator: torch.Generator) -> Tensor:
    """Change brightness, saturation and contrast of each image, in this order.

    In units of the preprocessed pixels: brightness by up to half a unit, saturation to 0 to 2
    times, contrast to half to one and a half times.
    """
    brightness, saturation, contrast = (
        v.to(x.device, non_blocking=True)[:, None, None, None]
        for v in torch.rand(3, len(x), generator=generator)
    )
    x = x + (brightness - 0.5)
    grey = x.mean(1, keepdim=True)
    x = (x - grey) * (2 * saturation) + grey
    level = x.mean((1, 2, 3), keepdim=True)
    changed: Tensor = (x - level) * (contrast + 0.5) + level
    return changed


def crop_cutout_flip(x: Tensor, generator: torch.Generator) -> Tensor:
    """Crop, cutout and flip, all of them on each image."""
    return flip(cutout(shift(x, generator), generator), generator)


def _moved(draw: Draw) -> Augment:
    """Return what moves each image by a map of its own; bilinear, zeros outside."""
    return lambda x, generator: resample(x, draw(len(x), x.shape[2], x.shape[3], generator))


def _one_of(*ways: Augment) -> Augment:
    """Return what does one of several ways a batch, other for each image."""

    def chosen(x: Tensor, generator: torch.Generator) -> Tensor:
        return ways[int(torch.randint(len(ways), (1,), generator=generator))](x, generator)

    return chosen


rotate, scale = _moved(rotations), _moved(scalings)
shift_rotate = _moved(small_moves)  # for writing, where a mirror image is another sign or none
flip_rotate = _one_of(flip, rotate, shift)  # as the method's own code has it
flip_scale_rotate = _one_of(flip, scale, rotate)  # as the paper on posters proposes (section 6)
# Differentiable siamese augmentation (Zhao and Bilen, ICML 2021), with which distilled images are
# usually learned; without the flip for writing.
dsa = _one_of(colour, shift, cutout, flip, scale, rotate)
dsa_upright = _one_of(colour, shift, cutout, scale, rotate)

AUGMENTATIONS: dict[str, Augment] = {
    "none": lambda x, generator: x,
    "flip": flip,
    "flip_rotate": flip_rotate,
    "flip_scale_rotate": flip_scale_rotate,
    "shift": shift,
    "shift_rotate": shift_rotate,
    "crop_cutout_flip": crop_cutout_flip,
    "dsa": dsa,
    "dsa_upright": dsa_upright,
}
# They move or blank whole pixels, so bytes stay bytes; all others need floats.
OF_BYTES = ("none", "flip", "shift", "crop_cutout_flip")
