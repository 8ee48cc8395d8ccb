"""Poster geometry in exact integers: sizes, patch origins, class cells (paper section 4.1).

Encoder, decoder, preview and specification all take their numbers from here.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError
from ..shared.grid import cell_edges

EVEN, PER_CLASS = "linspace-half-even", "per-class"  # the rules for origins


def origins(
    length: int, size: int, count: int, rule: str = EVEN, cells: int = 1
) -> tuple[int, ...]:
    """Return ``count`` patch origins along an axis, exact rationals rounded to whole pixels.

    - ``linspace-half-even``, the paper's: i (length - size) / (count - 1), ties to even. The first
      patch begins at 0 and the last ends at ``length``; a single patch lies at 0.
    - ``per-class``: equally many in each of ``cells`` class cells, placed in it by the paper's
      rule, so no patch has pixels of two cells. ``count`` is a multiple of ``cells``, and no cell
      is smaller than ``size``.

    The paper's are distinct where ``count`` is at most ``length - size + 1``.
    """
    d, s, p = length, size, count
    if rule == PER_CLASS:
        starts = itertools.pairwise(cell_edges(d, cells))
        return tuple(a + o for a, b in starts for o in origins(b - a, s, p // cells))
    return tuple(_half_even(i * (d - s), p - 1) for i in range(p)) if p > 1 else (0,)


def _half_even(numerator: int, denominator: int) -> int:
    # round(numerator / denominator) for non-negative integers; a tie goes to the even neighbour.
    quotient, rest = divmod(2 * numerator + denominator, 2 * denominator)
    return quotient - 1 if rest == 0 and quotient % 2 == 1 else quotient


@dataclass(frozen=True)
class PosterGeometry:
    """A poster, its patches and where they lie.

    Attributes:
        height, width: of the poster, pixels.
        patch_h, patch_w: of a patch, which is the size of a source image.
        patches_x, patches_y: patches along the width and along the height.
        rule: of ``origins``.
        cells: class cells along x and y, for the rule ``per-class``.

    Patch ``i`` is column ``i // patches_y``, row ``i % patches_y`` (x outer, y inner).
    """

    height: int
    width: int
    patch_h: int
    patch_w: int
    patches_x: int
    patches_y: int
    rule: str = EVEN
    cells: tuple[int, int] = (1, 1)

    def __post_init__(self) -> None:
        if self.patches_x < 1 or self.patches_y < 1:
            raise UsageError(f"a patch grid of {self.patches_x}x{self.patches_y} has no patch")
        if self.height < self.patch_h or self.width < self.patch_w:
            raise UsageError(
                f"a poster of {self.width}x{self.height} cannot hold a "
                f"{self.patch_w}x{self.patch_h} patch"
            )
        if self.rule == PER_CLASS:
            self._check_cells("x", self.width, self.patch_w, self.patches_x, self.cells[0])
            self._check_cells("y", self.height, self.patch_h, self.patches_y, self.cells[1])

    @staticmethod
    def _check_cells(axis: str, length: int, size: int, count: int, cells: int) -> None:
        edges = cell_edges(length, cells)
        least = min(b - a for a, b in itertools.pairwise(edges))
        if count % cells or least < size:
            raise UsageError(
                f"patches per class along {axis}: {count} patches are no multiple of {cells} "
                f"cells, or a cell of {least} pixels is smaller than a patch of {size}"
            )

    @property
    def num_patches(self) -> int:
        """Patches in all."""
        return self.patches_x * self.patches_y

    @property
    def pixels(self) -> int:
        """Pixels of the poster, channels not counted."""
        return self.height * self.width

    @cached_property
    def origins_x(self) -> tuple[int, ...]:
        """Left edge of each patch column."""
        return origins(self.width, self.patch_w, self.patches_x, self.rule, self.cells[0])

    @cached_property
    def origins_y(self) -> tuple[int, ...]:
        """Top edge of each patch row."""
        return origins(self.height, self.patch_h, self.patches_y, self.rule, self.cells[1])

    def origin(self, index: int) -> tuple[int, int]:
        """Return (y, x) of the top left pixel of patch ``index`` (0 <= index < num_patches)."""
        column, row = divmod(index, self.patches_y)
        return self.origins_y[row], self.origins_x[column]

    def extract(self, poster: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return all patches of a poster (C, H, W) as (P, C, h, w), in patch order.

        Raises UsageError where the poster has not the height and width of this geometry.
        """
        if poster.ndim != 3 or poster.shape[1:] != (self.height, self.width):
            raise UsageError(
                f"a poster of shape {tuple(poster.shape)} is not (C, {self.height}, {self.width})"
            )
        h, w = self.patch_h, self.patch_w
        places = (self.origin(i) for i in range(self.num_patches))
        return np.stack([poster[:, y : y + h, x : x + w] for y, x in places])


def pixel_budget(ipc: float, classes: int, height: int, width: int) -> int:
    """Return floor(ipc x classes x height x width), from the decimal that the user wrote."""
    if not math.isfinite(ipc) or ipc <= 0:
        raise UsageError(f"--ipc must be a number more than 0, got {ipc:g}")
    return math.floor(Fraction(str(ipc)) * classes * height * width)


def smallest_ipc(classes: int) -> float:
    """Return the smallest budget, in images per class, whose poster holds one patch.

    That is 1 / classes, rounded up in the third significant digit or later.
    """
    scale = 10 ** (len(str(classes)) + 3)
    return float(math.ceil(Fraction(scale, classes)) / scale)


def poster_size(
    ipc: float,
    classes: int,
    height: int,
    width: int,
    grid: tuple[int, int],
    table: Mapping[float, tuple[int, int]] | None = None,
) -> tuple[int, int]:
    """Return the (height, width) of the poster for a budget; never more pixels than it allows.

    The poster has the aspect of the class grid (x, y) as nearly as whole pixels allow, and at
    least the size of one image: H = floor(sqrt(B y / x)), W = floor(B / H). That gives the
    paper's 153x60 for CIFAR-10 at 0.9 images per class and 202x202 for CIFAR-100 at 0.4. ``table``
    holds published sizes (height, width) by ``ipc``, which win where they keep to the budget.

    Raises UsageError where ``ipc`` is not more than 0, or where not even one patch fits.
    """
    budget = pixel_budget(ipc, classes, height, width)
    if budget < height * width:
        raise UsageError(
            f"a poster of {budget} pixels cannot hold a {width}x{height} patch; "
            f"the smallest budget for this data set is --ipc {smallest_ipc(classes):g}"
        )
    rows, columns = (table or {}).get(ipc, (0, 0))
    if rows * columns <= budget and rows >= height and columns >= width:
        return rows, columns
    grid_x, grid_y = grid
    rows = math.isqrt(budget * grid_y // grid_x)
    rows = min(max(rows, height), budget // width)
    return rows, budget // rows


def default_patch_grid(
    poster: tuple[int, int],
    patch: tuple[int, int],
    grid: tuple[int, int],
    published: tuple[int, int] | None = None,
) -> tuple[int, int]:
    """Return a patch grid (x, y): the published one of a data set, else three patches a class cell.

    ``poster`` and ``patch`` are (height, width), ``grid`` is the class grid (x, y). The paper uses
    3 to 3.2 patches a cell and axis for CIFAR-10 and CUB, 2 for the others. On a small poster
    there are fewer, as many as have distinct origins; on one of more than an image a class there
    are more, so that they overlap by half.
    """
    wanted = published or (3 * grid[0], 3 * grid[1])
    most = most_patches(poster, patch)
    across = max(wanted[0], half_overlapping(poster[1], patch[1]))
    down = max(wanted[1], half_overlapping(poster[0], patch[0]))
    return min(across, most[0]), min(down, most[1])


def half_overlapping(length: int, size: int) -> int:
    """Return how many patches along an axis overlap their neighbours by half of them or more."""
    return max(1, -(-2 * length // size) - 1)


def most_patches(poster: tuple[int, int], patch: tuple[int, int]) -> tuple[int, int]:
    """Return how many patches along (x, y) have distinct origins; arguments are (height, width)."""
    return poster[1] - patch[1] + 1, poster[0] - patch[0] + 1
