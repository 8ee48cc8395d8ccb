"""Stage 2: give back what squeezing took (paper, section 2.2).

Pixels of a mosaic move until the observer's features of its expanded cells are those of the images
before squeezing, under the same augmentations. The features are compared for the mosaic as the
file will hold it: every pixel one of 256 levels, the gradient passed straight through the rounding.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ...nn.augment import augment
from ...observers.file import Trained
from ...preprocessing.transform import mean_and_std
from ...runtime.rng import generator
from ..shared.mosaic import Mosaic
from .params import LICParams

RATE = 0.01  # of AdamW, in units of the range of a pixel; falls to 0 as a cosine
AUGMENT = "crop_cutout_flip"  # images before and after squeezing alike, when they are compared


def compensate(
    mosaics: Tensor,
    originals: Tensor,
    geometry: Mosaic,
    observer: Trained,
    params: LICParams,
    key: tuple[int, ...],
) -> Tensor:
    """Return compensated mosaics, uint8 (B, C, H, W), of squeezed ones.

    ``originals`` are the images that they hold, uint8 (B x cells, C, H, W), by mosaic; ``key``
    names what is random here beside the seed.
    """
    iterations = params.options.steps
    if iterations is None:
        return mosaics
    base = mosaics.float() / 255
    # Without weight decay: it would pull the pixels back to what squeezing left of them.
    delta = torch.zeros_like(base, requires_grad=True)
    optimiser = torch.optim.AdamW([delta], lr=RATE, weight_decay=0.0)
    real = originals.float() / 255
    for iteration in range(iterations):
        share = iteration / iterations
        for group in optimiser.param_groups:
            group["lr"] = RATE * 0.5 * (1 + math.cos(math.pi * share))
        random = generator(params.seed, "compensate", *key, iteration)
        expanded = geometry.expand_smoothly(held(base + delta))
        difference = feature_difference(real, expanded, observer, params, random)
        (delta.grad,) = torch.autograd.grad(difference.sum(), delta)
        optimiser.step()
    with torch.no_grad():
        return (held(base + delta) * 255).round().to(torch.uint8)


def held(x: Tensor) -> Tensor:
    """Return pixels as the file holds them, in 0..1; gradients pass where they stay in range."""
    x = x.clamp(0, 1)
    return x + ((x * 255).round() / 255 - x).detach()


def feature_difference(
    real: Tensor, expanded: Tensor, observer: Trained, params: LICParams, random: torch.Generator
) -> Tensor:
    """Return the mean absolute difference of features of each pair of images (n, C, H, W): (n,).

    Pixels lie in 0..1. The same augmentation is applied to both images of a pair.
    """
    channels = real.shape[1]
    spec = observer.description.image["preprocessing"]
    mean, std = (torch.from_numpy(v).to(real)[:, None, None] for v in mean_and_std(spec, channels))
    # One behind the other as channels: what moves one image moves its partner as well.
    pairs = (torch.cat([real, expanded], 1) - mean.repeat(2, 1, 1)) / std.repeat(2, 1, 1)
    before, after = (
        x.contiguous(memory_format=torch.channels_last)
        for x in torch.split(augment(pairs, AUGMENT, random), channels, 1)
    )
    half = params.options.precision == "bfloat16"
    with torch.autocast(real.device.type, torch.bfloat16, enabled=half):
        with torch.no_grad():
            wanted = observer.network.features(before.detach())
        found = observer.network.features(after)
    return (found.float() - wanted.float()).abs().flatten(1).mean(1)
