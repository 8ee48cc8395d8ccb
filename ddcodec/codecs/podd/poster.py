"""Poster geometry in exact integers: sizes, patch origins, class cells (paper section 4.1).

Encoder, decoder, preview and specification all take their numbers from here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError


def origins(length: int, size: int, count: int) -> tuple[int, ...]:
    """Return ``count`` patch origins along an axis: round_half_even(i (length-size)/(count-1)).

    The first patch begins at 0 and the last ends at ``length``; a single patch lies at 0.
    """
    if count == 1:
        return (0,)
    return tuple(round(Fraction(i * (length - size), count - 1)) for i in range(count))


@dataclass(frozen=True)
class PosterGeometry:
    """A poster, its patches and where they lie.

    Attributes:
        height, width: of the poster, pixels.
        patch_h, patch_w: of a patch, which is the size of a source image.
        patches_x, patches_y: patches along the width and along the height.

    Patch ``i`` is column ``i // patches_y``, row ``i % patches_y`` (x outer, y inner).
    """

    height: int
    width: int
    patch_h: int
    patch_w: int
    patches_x: int
    patches_y: int

    def __post_init__(self) -> None:
        if self.patches_x < 1 or self.patches_y < 1:
            raise UsageError(f"a patch grid of {self.patches_x}x{self.patches_y} has no patch")
        if self.height < self.patch_h or self.width < self.patch_w:
            raise UsageError(
                f"a poster of {self.width}x{self.height} cannot hold a "
                f"{self.patch_w}x{self.patch_h} patch"
            )

    @property
    def num_patches(self) -> int:
        """Patches in all."""
        return self.patches_x * self.patches_y

    @property
    def pixels(self) -> int:
        """Pixels of the poster, channels not counted."""
        return self.height * self.width

    @property
    def origins_x(self) -> tuple[int, ...]:
        """Left edge of each patch column."""
        return origins(self.width, self.patch_w, self.patches_x)

    @property
    def origins_y(self) -> tuple[int, ...]:
        """Top edge of each patch row."""
        return origins(self.height, self.patch_h, self.patches_y)

    def origin(self, index: int) -> tuple[int, int]:
        """Return (y, x) of the top left pixel of patch ``index``."""
        column, row = divmod(index, self.patches_y)
        return self.origins_y[row], self.origins_x[column]

    def extract(self, poster: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return all patches of a poster (C, H, W) as (P, C, h, w), in patch order."""
        h, w = self.patch_h, self.patch_w
        places = (self.origin(i) for i in range(self.num_patches))
        return np.stack([poster[:, y : y + h, x : x + w] for y, x in places])


def cell_edges(length: int, cells: int) -> tuple[int, ...]:
    """Return the first pixel of each of ``cells`` cells along an axis, then ``length``.

    Pixel p belongs to cell floor(p cells / length): nearest-neighbour upsampling, exactly.
    """
    return tuple(-(-i * length // cells) for i in range(cells + 1))


def pixel_budget(ipc: float, classes: int, height: int, width: int) -> int:
    """Return floor(ipc x classes x height x width), from the decimal that the user wrote."""
    if not math.isfinite(ipc) or ipc <= 0:
        raise UsageError(f"--ipc must be more than 0, got {ipc:g}")
    return math.floor(Fraction(str(ipc)) * classes * height * width)


def poster_size(
    ipc: float, classes: int, height: int, width: int, grid: tuple[int, int]
) -> tuple[int, int]:
    """Return the (height, width) of the poster for a budget; never more pixels than it allows.

    The poster has the aspect of the class grid (x, y) as nearly as whole pixels allow, and at
    least the size of one image. Gives the paper's 153x60 for CIFAR-10 at 0.9 images per class
    and 202x202 for CIFAR-100 at 0.4. Raises UsageError where not even one patch fits.
    """
    budget = pixel_budget(ipc, classes, height, width)
    if budget < height * width:
        smallest = math.ceil(Fraction(10**4, classes)) / 10**4
        raise UsageError(
            f"--ipc {ipc:g} gives a poster of {budget} pixels, which cannot hold a "
            f"{width}x{height} patch; the smallest budget for this data set is --ipc {smallest:g}"
        )
    grid_x, grid_y = grid
    rows = math.isqrt(budget * grid_y // grid_x)
    rows = min(max(rows, height), budget // width)
    return rows, budget // rows


def default_patch_grid(
    poster: tuple[int, int], patch: tuple[int, int], grid: tuple[int, int]
) -> tuple[int, int]:
    """Return a patch grid (x, y) for data sets without a preset: three patches a class cell.

    The paper uses 3 to 3.2 a cell for CIFAR-10 and 2 for larger sets. No two patches coincide.
    """
    free = (poster[1] - patch[1] + 1, poster[0] - patch[0] + 1)
    return min(3 * grid[0], free[0]), min(3 * grid[1], free[1])
