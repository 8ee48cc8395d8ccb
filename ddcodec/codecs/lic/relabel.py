"""Stage 3: what the observer sees in each region of the mosaics (paper, section 2.3)."""

from __future__ import annotations

import torch
from torch import Tensor

from ...observers.file import Trained
from ...observers.networks import SEEN_PIXELS
from ..shared.mosaic import Mosaic


def region_logits(mosaics: Tensor, geometry: Mosaic, observer: Trained) -> Tensor:
    """Return logits float32 (B, regions, classes) of mosaics uint8 (B, C, H, W).

    Each region is seen exactly as a decoder gives it.
    """
    at_once = max(1, SEEN_PIXELS // (geometry.height * geometry.width))
    seen = []
    with torch.no_grad():
        for region in range(geometry.regions):
            images = geometry.region(mosaics, region)
            parts = torch.split(images, at_once)
            seen.append(torch.cat([observer.network(observer.preprocess(x)) for x in parts]))
    return torch.stack(seen, 1)
