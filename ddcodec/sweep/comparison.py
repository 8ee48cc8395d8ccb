"""The picture of several files: accuracy against bits per class, a mark and its spread for each.

In the style of a sweep's picture. A file has one size and one accuracy, so no lines join them; an
open mark at the same size is what other networks than its own learn from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from .curves import Curve, Spot
from .plot import FADED, STRONG, draw_curve, picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "h")  # as many as no multiple of colours
Point = tuple[str, Spot, float | None]  # name; size and accuracy; transfer, a share of 1
TRANSFER = "open: mean of other networks"
NAME = 32  # characters of a name in the legend


def render(points: Sequence[Point], title: str, subtitle: str) -> bytes:
    """Return the picture of named points as PNG, 1200 x 810 pixels; equal points, equal bytes.

    Raises MissingExtra without matplotlib.
    """
    return picture(partial(paint, points=points), title, subtitle)


def paint(axes: Axes, points: Sequence[Point]) -> None:
    """Draw a mark with its spread for each point, and an open one where the transfer is known."""
    for index, (name, spot, transfer) in enumerate(points):
        color, mark = STRONG[index % len(STRONG)], MARKS[index % len(MARKS)]
        curve = Curve(short(name), (spot,), baseline=False)
        draw_curve(axes, curve, color, mark, "none", strong=True)
        if transfer is not None:
            open_mark(axes, [spot.bits_per_class], [100 * transfer], color, mark)
    if any(transfer is not None for _, _, transfer in points):
        open_mark(axes, [], [], FADED, "o", TRANSFER)


def open_mark(
    axes: Axes, x: Sequence[float], y: Sequence[float], color: str, mark: str, label: str = ""
) -> None:
    """Draw marks that are only outlined; not by ``plot``, whose marks a legend shows first."""
    axes.errorbar(
        x,
        y,
        color=color,
        marker=mark,
        markersize=6.5,
        markerfacecolor="none",
        linestyle="none",
        label=label,
        zorder=3,
    )


def short(name: str) -> str:
    """Return a name for the legend: its end, where the file is, if all of it is too long.

    It never begins with an underscore, by which matplotlib would leave it out.
    """
    name = name if len(name) <= NAME else f"...{name[3 - NAME :]}"
    return f"./{name}" if name.startswith("_") else name
