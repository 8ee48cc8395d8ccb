"""What a prior is taught: real images in views, each with a caption in words and spelled names.

``plain`` shows images as they are, alone and in collages; the caption names the class and the
layout. ``wide`` shows every other one as a negative, as a general model has seen more of a concept
than one data set holds; half of the captions of negatives do not say so, as captions in the wild
leave things out. A class name alone then means either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Views = Literal["plain", "wide"]
LAYOUTS = (1, 1, 1, 2, 4)  # cells in a row; drawn evenly
LEAST = 4  # pixels of a cell; smaller ones show nothing
NEGATIVE = 0.5  # share of negatives in wide views
SAID = 0.5  # share of their captions that say so
EMPTY = 0.1  # share of captions that say nothing, for guidance


@dataclass(frozen=True)
class View:
    """How images of one class are shown: cells in a row, and as a negative or not."""

    layout: int = 1
    negative: bool = False


def draw(views: Views, random: torch.Generator, side: int) -> View:
    """Return a random view for pictures of ``side`` pixels."""
    picked = torch.randint(len(LAYOUTS), (), generator=random)
    layout = LAYOUTS[int(picked)]
    layout = layout if layout * LEAST <= side else 1
    negative = bool(torch.rand((), generator=random) < NEGATIVE)
    return View(layout, negative and views == "wide")


def caption(name: str, view: View, random: torch.Generator) -> str:
    """Return a caption; the empty one now and then."""
    empty, said = torch.rand(2, generator=random).tolist()
    if empty < EMPTY:
        return ""
    words = "a negative" if view.negative and said < SAID else "a"
    return words + described(name, view.layout).removeprefix("a")


def described(name: str, layout: int) -> str:
    """Return what a layout is called: ``a photo of NAME``, ``a 2 x 2 collage of NAME``."""
    name = name.replace("_", " ")
    return f"a photo of {name}" if layout == 1 else f"a {layout} x {layout} collage of {name}"


def show(images: Tensor, view: View, size: tuple[int, int]) -> Tensor:
    """Return one picture float32 (C, h, w) of layout squared images (n, C, H, W), all in 0..1."""
    picture = collage(images, view.layout, size)
    return 1 - picture if view.negative else picture


def collage(images: Tensor, cells: int, size: tuple[int, int]) -> Tensor:
    """Return images (cells^2, C, H, W) in 0..1, row by row, as one picture (C, h, w).

    ``size`` is a multiple of ``cells``; each image is scaled to its cell with an antialiased
    bicubic filter.
    """
    height, width = size[0] // cells, size[1] // cells
    if images.shape[-2:] != (height, width):
        images = F.interpolate(images, (height, width), mode="bicubic", antialias=True)
    channels = images.shape[1]
    grid = images.view(cells, cells, channels, height, width).permute(2, 0, 3, 1, 4)
    return grid.reshape(channels, *size).clamp(0, 1)
