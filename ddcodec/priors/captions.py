"""What a prior is taught: real images in views, each with a caption in words and spelled names.

``plain`` shows images as they are, alone and in collages; the caption names the class and the
layout. ``wide`` also shows negatives, mirror images and turned ones, as a general model has
seen more of a concept than one data set holds; half of the captions leave out what kind of view it
is, as captions in the wild do. A class name alone then means any view.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Views = Literal["plain", "wide"]
LAYOUTS = (1, 1, 2, 4)  # cells in a row; drawn evenly
SAID = 0.5  # share of captions that say the kind of view
EMPTY = 0.1  # share of captions that say nothing, for guidance
TURNS = ("upright", "mirrored", "upside down", "lying")


@dataclass(frozen=True)
class View:
    """How images of one class are shown: cells in a row, negative or not, and turned how."""

    layout: int = 1
    negative: bool = False
    turn: int = 0


def draw(views: Views, random: torch.Generator, largest: int) -> View:
    """Return a random view; collages have at most ``largest`` cells in a row."""
    picked = torch.randint(len(LAYOUTS), (), generator=random)
    layout = LAYOUTS[int(picked)]
    layout = layout if layout <= largest else 1
    if views == "plain":
        return View(layout)
    negative = bool(torch.rand((), generator=random) < 0.5)
    return View(layout, negative, int(torch.randint(len(TURNS), (), generator=random)))


def caption(name: str, view: View, views: Views, random: torch.Generator) -> str:
    """Return a caption; the empty one now and then."""
    if float(torch.rand((), generator=random)) < EMPTY:
        return ""
    subject = described(name, view.layout)
    if views == "plain":
        return subject
    words = [TURNS[view.turn]] + (["negative"] if view.negative else [])
    said = [word for word in words if float(torch.rand((), generator=random)) < SAID]
    return " ".join(["a", *said, subject.removeprefix("a ")])


def described(name: str, layout: int) -> str:
    """Return what a layout is called: ``a photo of NAME``, ``a 2 x 2 collage of NAME``."""
    name = name.replace("_", " ")
    return f"a photo of {name}" if layout == 1 else f"a {layout} x {layout} collage of {name}"


def show(images: Tensor, view: View, size: tuple[int, int]) -> Tensor:
    """Return one picture float32 (C, h, w) of layout squared images (n, C, H, W), all in 0..1."""
    picture = collage(images, view.layout, size)
    if view.negative:
        picture = 1 - picture
    if TURNS[view.turn] == "mirrored":
        return picture.flip(-1)
    if TURNS[view.turn] == "upside down":
        return picture.flip(-1, -2)
    if TURNS[view.turn] == "lying" and size[0] == size[1]:
        return picture.rot90(1, (-2, -1))
    return picture


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
