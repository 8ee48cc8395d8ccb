"""Views: what a student sees of images at a step, and the labels that these have.

Most augmentations leave an image what it is, and its label with it. The views of this module mix
images, so labels are mixed in the same shares, or given by a teacher who sees the views themselves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import UsageError
from ..runtime.world import neutral_tensors
from .augment import AUGMENTATIONS, OF_BYTES, Augment, augment
from .warp import mirrored

SMALLEST = 0.4  # of the area, of a crop
LARGEST_RATIO = 4 / 3  # of its sides, in shares of those of the image; or one over that

VIEWS = {"views": True, "views_upright": False}  # whether half of them are mirrored
NAMES = (*AUGMENTATIONS, *VIEWS)  # of all augmentations that a recipe may have

Pair = tuple[Tensor, Tensor]


class Teacher(Protocol):
    """A network that labels views as they are drawn; see ``codecs.lic.live``."""

    def labels(self, views: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return soft labels float32 (B, classes) of preprocessed images float32 (B, C, H, W).

        ``dtype`` is that of convolutions: float32 or bfloat16.
        """

    def to(self, device: torch.device | str) -> Teacher:
        """Return the same network on ``device``, where the views are."""


def crops(x: Tensor, generator: torch.Generator, mirror: bool = True) -> Tensor:
    """Enlarge a crop of 40 to 100 % of the area of each image, and mirror half of them.

    Aspect ratios change by 3/4 to 4/3, in logarithms alike; bilinear, edges held.
    """
    n = len(x)
    area, stretch, along_x, along_y = torch.rand(4, n, generator=generator)
    area = SMALLEST + (1 - SMALLEST) * area
    ratio = torch.exp((2 * stretch - 1) * math.log(LARGEST_RATIO))
    width, height = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)
    maps = torch.zeros(n, 2, 3)
    maps[:, 0, 0] = torch.where(mirrored(n, generator) & mirror, -width, width)
    maps[:, 1, 1] = height
    maps[:, 0, 2] = (2 * along_x - 1) * (1 - width)
    maps[:, 1, 2] = (2 * along_y - 1) * (1 - height)
    grid = F.affine_grid(maps.to(x, non_blocking=True), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, padding_mode="border", align_corners=False)


class Mixture(NamedTuple):
    """How the images of a batch are mixed, each with one other.

    Attributes:
        partners: int64 (n,).
        own: float32 (n, 1, H, W) or (n, 1, 1, 1): the share of the own image in each pixel.
    """

    partners: Tensor
    own: Tensor

    def of_images(self, x: Tensor) -> Tensor:
        """Return images (n, C, H, W), mixed."""
        own = self.own.to(x, non_blocking=True)
        return torch.lerp(self._other(x), x, own)

    def of_labels(self, y: Tensor) -> Tensor:
        """Return soft labels (n, classes), mixed in the shares of the images."""
        own = self.own.mean((1, 2, 3))[:, None].to(y, non_blocking=True)
        return torch.lerp(self._other(y), y, own)

    def _other(self, rows: Tensor) -> Tensor:
        return rows.index_select(0, self.partners.to(rows.device, non_blocking=True))


def mixture(n: int, height: int, width: int, generator: torch.Generator) -> Mixture:
    """Draw for a batch whether its images are laid over each other or cut into each other.

    Mixup (Zhang et al., arXiv 1710.09412) or CutMix (Yun et al., arXiv 1905.04899), each with
    probability .5, the shares uniform from 0 to 1. A rectangle has the form of the image and its
    centre anywhere, so part of it may lie outside.
    """
    cut = bool(torch.rand((), generator=generator) < 0.5)
    partners = torch.randperm(n, generator=generator)
    share, along_x, along_y = torch.rand(3, n, generator=generator)
    if not cut:
        return Mixture(partners, share[:, None, None, None])
    half = (1 - share).sqrt() / 2
    inside = [
        ((torch.arange(side) + 0.5) / side - centre[:, None]).abs() < half[:, None]
        for side, centre in ((height, along_y), (width, along_x))
    ]
    other = inside[0][:, None, :, None] & inside[1][:, None, None, :]
    return Mixture(partners, (~other).float())


def check_augmentation(name: str) -> None:
    """Raise UsageError for a name that is none of ``NAMES``."""
    if name not in NAMES:
        known = ", ".join(NAMES)
        raise UsageError(f"augment={name!r} is unknown; use one of {known}, or a function")


def drawn(
    x: Tensor,
    y: Tensor,
    name: str,
    generator: torch.Generator,
    teacher: Teacher | None = None,
    dtype: torch.dtype = torch.float32,
) -> Pair:
    """Return the views of images and their labels, as an augmentation of ``NAMES`` says.

    Args:
        x: images (B, C, H, W).
        y: their soft labels (B, classes).
        name, generator: which augmentation, and what it draws from.
        teacher: labels the views, where there are any; without one labels are mixed as images are.
        dtype: of the teacher's convolutions.
    """
    if name == "none":
        return x, y
    if name in VIEWS:
        x = crops(x, generator, VIEWS[name])
        mixed = mixture(len(x), x.shape[2], x.shape[3], generator)
        x = mixed.of_images(x)
        return x, mixed.of_labels(y) if teacher is None else teacher.labels(x, dtype)
    x = augment(x, name, generator)
    return x, y if teacher is None else teacher.labels(x, dtype)


@dataclass(frozen=True)
class Draw:
    """What a loader does to its batches, as ``drawn`` does it.

    Attributes:
        how: a name of ``NAMES``, or a function of the images and a generator.
        teacher: labels what comes out, where there is one.
        hard: labels are class indices int64 (B,), of a teacher's labels the largest share.
    """

    how: str | Augment
    teacher: Teacher | None = None
    hard: bool = False

    def __call__(self, x: Tensor, y: Tensor, generator: torch.Generator) -> Pair:
        """Return views of images (B, C, H, W) and their labels, for images with labels y."""
        if callable(self.how):
            x = self.how(x, generator)  # in the caller's own world
            y = y if self.teacher is None else self.teacher.labels(x)
        else:
            with neutral_tensors():
                x, y = drawn(x, y, self.how, generator, self.teacher)
        return x, y.argmax(1) if self.hard and self.teacher is not None else y


def find_draw(
    how: str | Augment,
    recipe: str,
    teacher: Teacher | None = None,
    hard: bool = False,
    of_bytes: bool = False,
) -> Draw | None:
    """Return what ``augment`` of a loader means; None for nothing.

    Args:
        how: as in ``Draw``, or ``recipe``, or ``auto``: the recipe's where there is a teacher.
        recipe: the augmentation of the file's recipe.
        teacher, hard: as in ``Draw``.
        of_bytes: images are uint8.

    Raises UsageError for an unknown name, for views of images whose labels cannot be mixed, and for
    bytes where floats are needed.
    """
    if how == "auto":
        how = "none" if teacher is None else "recipe"
    if how == "recipe":
        how = recipe
    if not callable(how):
        check_augmentation(how)
        if how == "none":
            return None
        if how in VIEWS and hard and teacher is None:
            raise UsageError(
                f"augment='{how}' mixes images and their labels; load without `hard_labels`"
            )
        if of_bytes and how not in OF_BYTES:
            raise UsageError(
                f"augment='{how}' needs floats, and images are bytes (uint8); load without `raw`"
            )
    return Draw(how, teacher, hard)
