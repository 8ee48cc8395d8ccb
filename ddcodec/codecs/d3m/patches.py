"""Step 1: the patches of a class that the observer knows best (paper, section 3.1).

The paper's formula says argmax, its text the minimum of the cross-entropy; the text is followed.
Collages are put together anew for every step of inversion, so that no two are alike.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...errors import SourceError
from ...observers.file import Trained
from ...priors.captions import collage
from ...sources.by_class import ByClass
from ..shared.selection import candidates, ranked
from .params import D3MParams

KEPT = 2  # one in so many candidates is used


def best_patches(
    pool: ByClass, label: int, name: str, observer: Trained, params: D3MParams, device: torch.device
) -> Tensor:
    """Return the patches of a class, the best first: uint8 (n, C, H, W) on ``device``.

    Of each candidate the image, or the best of several random crops at full size; of all
    candidates the half with the lowest loss. Raises SourceError where a class has one image only.
    """
    there = pool.count(label)
    if there < KEPT:
        raise SourceError(f"class '{name}' has {there} training image; d3m needs {KEPT} or more")
    count = min(there, params.candidates)
    images = candidates(pool, label, count, params.seed, device)
    best = ranked(images, label, observer, params.selection, params.seed)
    return best if params.selection == "random" else best[: max(1, count // KEPT)]


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
