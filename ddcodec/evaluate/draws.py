"""What a baseline learns from: random images of each class, or means of each class.

Random images are drawn anew for each student, so the spread is over draws and networks. Means are
rounded to 8 bits; several of a class are found by k-means, begun anew for each student.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import SourceError
from ..runtime.rng import generator

if TYPE_CHECKING:
    from ..sources.base import Source

KMEANS_ROUNDS = 20

ClassImages = list[NDArray[np.uint8]]  # for each class (n, H, W, C)
# (k images a class, student) -> (classes, k, H, W, C)
Draw = Callable[[int, int], NDArray[np.uint8]]


def images_by_class(source: Source) -> ClassImages:
    """Return the training images of each class, uint8 (n, H, W, C)."""
    images, labels = source.train.images, source.train.labels
    groups = [images[labels == index] for index in range(len(source.classes))]
    for name, group in zip(source.classes, groups, strict=True):
        if len(group) == 0:
            raise SourceError(f"{source.name}: class '{name}' has no training image")
    return groups


def random_draw(by_class: ClassImages, seed: int) -> Draw:
    """Return how each student draws random images of each class, without repetition.

    The first images of a draw do not depend on how many it has.
    """

    def draw(k: int, student: int) -> NDArray[np.uint8]:
        chosen = []
        for index, group in enumerate(by_class):
            order = torch.randperm(len(group), generator=generator(seed, "draw", student, index))
            chosen.append(group[order[:k].numpy()])
        return np.stack(chosen)

    return draw


def mean_draw(by_class: ClassImages, seed: int, device: torch.device) -> Draw:
    """Return how each student finds the means of each class, rounded; found ones are kept."""

    @cache
    def draw(k: int, student: int) -> NDArray[np.uint8]:
        means = []
        for index, group in enumerate(by_class):
            x = torch.tensor(group.reshape(len(group), -1)).to(device, torch.float32)
            centres = k_means(x, k, generator(seed, "k-means", student, index))
            means.append(
                centres.round().to("cpu", torch.uint8).numpy().reshape(k, *group.shape[1:])
            )
        return np.stack(means)

    return draw


def k_means(x: Tensor, k: int, random: torch.Generator) -> Tensor:
    """Return ``k`` centres (k, d) of points float32 (n, d) by Lloyd's algorithm.

    It begins with distinct random points and stops when nothing moves, or after 20 rounds. A
    centre that loses all its points stays where it is.
    """
    if k == 1:
        return x.mean(0, keepdim=True)
    centres = x[torch.randperm(len(x), generator=random)[:k].to(x.device)]
    before = None
    for _ in range(KMEANS_ROUNDS):
        # |x - c|^2 without |x|^2, which is the same for every centre.
        nearest = ((centres * centres).sum(1) - 2 * x @ centres.T).argmin(1)
        if before is not None and torch.equal(nearest, before):
            break
        before = nearest
        sums = torch.zeros_like(centres).index_add_(0, nearest, x)
        counts = torch.bincount(nearest, minlength=k)[:, None]
        centres = torch.where(counts > 0, sums / counts.clamp(min=1), centres)
    return centres
