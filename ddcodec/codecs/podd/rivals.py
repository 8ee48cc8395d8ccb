"""What a poster is compared with: class means in its pixels, random images in its bytes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ...coresets.budgets import enlarge, shrink, smallest_class
from ...coresets.draws import ClassImages, random_draw
from ...coresets.sheets import at_best, fast_format, images_that_fit
from ...preprocessing.transform import Preprocess
from .decode import PosterSamples
from .initial import ClassMeans
from .poster import PosterGeometry

CLASS_MEANS = "class means of as many pixels"
RANDOM_IMAGES = "random images in as many bytes"
MOST_PIXELS = 1 << 23  # of the images that are drawn: some seconds of coding, 100 MB of inputs

Lesson = tuple[PosterSamples, Tensor]  # images, and labels float32 (N, classes)


@dataclass(frozen=True)
class Rival:
    """Something else that networks learned from: its name, that with more words, what it teaches.

    ``accuracy`` is a share of 1.
    """

    name: str
    words: str
    accuracy: float


@dataclass(frozen=True)
class Drawn:
    """Random images out of ordinary image files: how many, their format, and those of a student."""

    count: int
    kind: str
    lesson: Callable[[int], Lesson]


def mean_images(means: ClassMeans, classes: int, pixels: int) -> Lesson:
    """Return mean images of the classes, as many as ``pixels`` hold.

    Below one image a class they are made smaller, and enlarged again.
    """
    _, *size = means.shape
    images = pixels / (classes * math.prod(size))
    count = min(max(1, int(images)), means.images // classes or 1)
    x = torch.cat([means.of(label, count) for label in range(classes)])
    if images < 1:
        small = tuple(max(1, int(side * math.sqrt(images))) for side in size)
        x = F.interpolate(x, small, mode="bicubic", antialias=True)
        x = F.interpolate(x, tuple(size), mode="bicubic")
    return whole_images(x, classes)


def drawn_images(
    by_class: ClassImages, preprocess: Preprocess, total: int, students: int, seed: int
) -> Drawn | None:
    """Return random images that fit into ``total`` bytes with their labels, others by student.

    None where not one pixel a class fits, and where more fit than ``MOST_PIXELS``.
    """
    draw, kind, classes = random_draw(by_class, seed), fast_format(), len(by_class)
    _, height, width, _ = by_class[0].shape
    most = max(1, MOST_PIXELS // (classes * height * width))
    budget = images_that_fit(total, by_class, draw, students, kind, most)
    if budget is None or most <= budget.per_class < smallest_class(by_class):
        return None
    per_class, size = budget.per_class, budget.size

    def lesson(student: int) -> Lesson:
        back = at_best(shrink(draw(per_class, student), size), classes, kind, total)[0]
        return whole_images(preprocess(enlarge(back, (height, width))), classes)

    return Drawn(classes * per_class, kind.name, lesson)


def whole_images(x: Tensor, classes: int) -> Lesson:
    """Return images float32 (N, C, h, w), as many of each class, in the order of the classes.

    They are patches of a poster of one column, side by side.
    """
    count, channels, height, width = x.shape
    labels = torch.eye(classes).repeat_interleave(count // classes, 0)
    column = PosterGeometry(count * height, width, height, width, 1, count)
    poster = x.transpose(0, 1).reshape(channels, -1, width)
    return PosterSamples.from_poster(poster, column, labels.numpy()), labels
