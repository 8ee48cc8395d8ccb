"""What a baseline learns from: random images of each class, or means of each class.

Random images are drawn anew for each student, so the spread is over draws and networks. Means are
rounded to 8 bits; several of a class are found by k-means, begun anew for each student.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import SourceError
from ..preprocessing.stored import Part, Stored
from ..runtime.rng import generator

if TYPE_CHECKING:
    from ..sources.base import Source

KMEANS_ROUNDS = 20

POINTS_BYTES = 1 << 28  # of a class, float32, whose means are looked for at once


ClassImages = Sequence[Stored]  # for each class (n, H, W, C)
# (k images a class, student) -> (classes, k, H, W, C)
Draw = Callable[[int, int], NDArray[np.uint8]]


def images_by_class(source: Source, chosen: NDArray[np.int64] | None = None) -> ClassImages:
    """Return the training images of each class, uint8 (n, H, W, C); none of them is copied.

    ``chosen`` are places in the training split, whose images alone are given; None are all.
    Raises SourceError where a class has none.
    """
    images, labels = source.train.images, source.train.labels
    chosen = np.arange(len(labels)) if chosen is None else chosen
    own = labels[chosen]
    places = (chosen[own == index] for index in range(len(source.classes)))
    groups = [Part(images, found) for found in places]
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
            points = Points(group, device)
            centres = k_means(points, k, generator(seed, "k-means", student, index))
            means.append(
                centres.round().to("cpu", torch.uint8).numpy().reshape(k, *group.shape[1:])
            )
        return np.stack(means)

    return draw


class Points:
    """Images (n, H, W, C) as points float32 (n, d) on a device, all of them or part by part."""

    def __init__(self, images: Stored, device: torch.device) -> None:
        self._images, self._device = images, device
        step = max(1, POINTS_BYTES // (4 * prod(images.shape[1:])))
        self._places = range(0, len(images), step)
        self._whole = self._at(slice(None)) if len(self._places) == 1 else None

    def __len__(self) -> int:
        return len(self._images)

    def __iter__(self) -> Iterator[Tensor]:
        if self._whole is not None:
            yield self._whole
            return
        for start in self._places:
            yield self._at(slice(start, start + self._places.step))

    def __getitem__(self, index: Tensor) -> Tensor:
        """Return the points at int64 (n,)."""
        if self._whole is not None:
            return self._whole[index.to(self._device)]
        return self._at(index.numpy())

    def _at(self, index: Any) -> Tensor:
        images = self._images[index]
        flat = torch.from_numpy(images.reshape(len(images), -1))
        return flat.to(self._device, torch.float32)


def k_means(x: Points, k: int, random: torch.Generator) -> Tensor:
    """Return ``k`` centres (k, d) of points (n, d) by Lloyd's algorithm.

    It begins with distinct random points and stops when nothing moves, or after 20 rounds. A
    centre that loses all its points stays where it is.
    """
    if k == 1:
        means = [part.mean(0, keepdim=True) * (len(part) / len(x)) for part in x]
        return torch.cat(means).sum(0, keepdim=True)
    centres = x[torch.randperm(len(x), generator=random)[:k]]
    before = None
    for _ in range(KMEANS_ROUNDS):
        sums, found = torch.zeros_like(centres), []
        for part in x:
            # |x - c|^2 without |x|^2, which is the same for every centre.
            found.append(((centres * centres).sum(1) - 2 * part @ centres.T).argmin(1))
            sums.index_add_(0, found[-1], part)
        nearest = torch.cat(found)
        if before is not None and torch.equal(nearest, before):
            break
        before = nearest
        counts = torch.bincount(nearest, minlength=k)[:, None]
        centres = torch.where(counts > 0, sums / counts.clamp(min=1), centres)
    return centres
