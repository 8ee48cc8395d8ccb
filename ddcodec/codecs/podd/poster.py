"""Where the patches of a poster lie, in exact integers (paper section 4.1)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property

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

    @cached_property
    def origins_x(self) -> tuple[int, ...]:
        """Left edge of each patch column."""
        return origins(self.width, self.patch_w, self.patches_x, self.rule, self.cells[0])

    @cached_property
    def origins_y(self) -> tuple[int, ...]:
        """Top edge of each patch row."""
        return origins(self.height, self.patch_h, self.patches_y, self.rule, self.cells[1])
