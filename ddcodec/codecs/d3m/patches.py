"""Step 1: the patches of a class that the observer knows best (paper, section 3.1).

The paper's formula says argmax, its text the minimum of the cross-entropy; the text is followed.
Collages are put together anew for every step of inversion, so that no two are alike.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ...distill.rng import generator
from ...errors import SourceError
from ...observers.file import Trained
from ...priors.captions import collage
from ...sources.by_class import ByClass
from ..lic.select import losses_of, random_box
from .params import D3MParams

KEPT = 2  # one in so many candidates is used


def best_patches(
    pool: ByClass, label: int, name: str, observer: Trained, params: D3MParams, device: torch.device
) -> Tensor:
    """Return the patches of a class, the best first: uint8 (n, C, H, W) on ``device``.

    Of each candidate the image, or the best of ``params.crops`` random crops at full size; of all
    candidates the half with the lowest loss. Raises SourceError where a class has one image only.
    """
    there = pool.count(label)
    if there < KEPT:
        raise SourceError(f"class '{name}' has {there} training image; d3m needs {KEPT} or more")
    count = min(there, params.candidates)
    drawn = torch.randperm(there, generator=generator(params.seed, "candidates", label))[:count]
    found = pool.images(label, drawn.numpy())
    images = torch.from_numpy(found).permute(0, 3, 1, 2).contiguous().to(device)
    if params.selection == "random":
        return images
    losses = losses_of(images, label, observer)
    if params.selection == "crops":
        images, losses = _best_crops(images, label, observer, params)
    # A stable sort: equal losses keep the order in which they were drawn.
    return images[losses.sort(stable=True).indices[: max(1, count // KEPT)]]


def _best_crops(
    images: Tensor, label: int, observer: Trained, params: D3MParams
) -> tuple[Tensor, Tensor]:
    """Return the best random resized crop of each image, uint8 (n, C, H, W), and its loss (n,)."""
    random = generator(params.seed, "crops", label)
    best, lowest = images.clone(), torch.full((len(images),), torch.inf, device=images.device)
    height, width = int(images.shape[2]), int(images.shape[3])
    for _ in range(params.crops):
        crops = torch.empty_like(images)
        for i in range(len(images)):
            top, left, h, w = random_box(height, width, random)
            cut = images[i : i + 1, :, top : top + h, left : left + w].float()
            scaled = F.interpolate(cut, (height, width), mode="bicubic", antialias=True)
            crops[i] = scaled[0].round().clamp(0, 255).to(torch.uint8)
        losses = losses_of(crops, label, observer)
        better = losses < lowest
        best[better], lowest[better] = crops[better], losses[better]
    return best, lowest


def random_collages(
    patches: Tensor, count: int, params: D3MParams, random: torch.Generator
) -> Tensor:
    """Return collages of randomly drawn patches, float32 (count, C, h, w) in 0..1."""
    drawn = torch.randint(len(patches), (count, params.collage**2), generator=random)
    made = [
        collage(patches[row.to(patches.device)].float() / 255, params.collage, params.size)
        for row in drawn
    ]
    return torch.stack(made)
