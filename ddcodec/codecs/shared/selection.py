"""Images of a class that an observer knows best, whole or cropped (LIC section 2.1, D3M 3.1)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ...observers.file import Trained
from ...runtime.rng import generator
from ...sources.split import ByClass

CROPS = 5  # of each candidate, where crops are selected
CROP_AREA = (0.08, 1.0)  # share of the image, as in Szegedy et al. (2015)
CROP_RATIO = (3 / 4, 4 / 3)
CROP_TRIES = 10

Box = tuple[int, int, int, int]  # top, left, height, width


def candidates(pool: ByClass, label: int, count: int, seed: int, device: torch.device) -> Tensor:
    """Return ``count`` images of a class drawn at random: uint8 (count, C, H, W) on ``device``.

    No other image is read.
    """
    random = generator(seed, "candidates", label)
    drawn = torch.randperm(pool.count(label), generator=random)[:count]
    found = torch.from_numpy(pool.images(label, drawn.numpy()))
    return found.permute(0, 3, 1, 2).contiguous().to(device)


def ranked(images: Tensor, label: int, observer: Trained, selection: str, seed: int) -> Tensor:
    """Return images uint8 (n, C, H, W) of a class with those first that the observer knows best.

    ``selection`` is ``loss``, ``crops`` (the best crop of each stands for the image) or
    ``random``, which leaves them as they are.
    """
    if selection == "random":
        return images
    if selection == "crops":
        images, losses = best_crops(images, label, observer, seed)
    else:
        losses = losses_of(images, label, observer)
    # A stable sort: equal losses keep the order in which they were drawn.
    return images[losses.sort(stable=True).indices]


def losses_of(images: Tensor, label: int, observer: Trained) -> Tensor:
    """Return the observer's cross-entropy, float32 (n,), of images uint8 (n, C, H, W)."""
    logits = observer.logits(images)
    target = torch.full((len(logits),), label, device=logits.device)
    return F.cross_entropy(logits, target, reduction="none")


def best_crops(images: Tensor, label: int, observer: Trained, seed: int) -> tuple[Tensor, Tensor]:
    """Return the best crop of each image at full size, uint8 (n, C, H, W), and its loss (n,).

    Random resized crops judged by the observer, after RDED (Sun et al., arXiv 2312.03526).
    """
    random = generator(seed, "crops", label)
    best, lowest = images.clone(), torch.full((len(images),), torch.inf, device=images.device)
    size = (int(images.shape[2]), int(images.shape[3]))
    for _ in range(CROPS):
        crops = torch.empty_like(images)
        for i in range(len(images)):
            top, left, height, width = random_box(*size, random)
            cut = images[i : i + 1, :, top : top + height, left : left + width].float()
            scaled = F.interpolate(cut, size, mode="bicubic", antialias=True)
            crops[i] = scaled[0].round().clamp(0, 255).to(torch.uint8)
        losses = losses_of(crops, label, observer)
        better = losses < lowest
        best[better], lowest[better] = crops[better], losses[better]
    return best, lowest


def random_box(height: int, width: int, random: torch.Generator) -> Box:
    """Return a part of an image: 8 to 100 % of its area, at a ratio of 3/4 to 4/3."""
    low, high = (math.log(ratio) for ratio in CROP_RATIO)
    for _ in range(CROP_TRIES):
        share, place, y, x = torch.rand(4, generator=random).tolist()
        area = height * width * (CROP_AREA[0] + share * (CROP_AREA[1] - CROP_AREA[0]))
        ratio = math.exp(low + place * (high - low))
        h, w = round(math.sqrt(area / ratio)), round(math.sqrt(area * ratio))
        if 0 < h <= height and 0 < w <= width:
            return int(y * (height - h + 1)), int(x * (width - w + 1)), h, w
    return 0, 0, height, width
