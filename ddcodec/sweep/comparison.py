"""The picture of several files: accuracy against bits per class, a mark and its spread for each.

In the style of a sweep's picture. A file has one size and one accuracy, so no lines join them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .plot import STRONG, draw_curve, picture
from .record import Curve, Spot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "h")  # as many as no multiple of colours
NAME = 32  # characters of a name in the legend


def render(points: Sequence[tuple[str, Spot]], title: str, subtitle: str) -> bytes:
    """Return the picture of named points as PNG, 1200 x 810 pixels; equal points, equal bytes.

    Raises MissingExtra without matplotlib.
    """

    def paint(axes: Axes) -> None:
        for index, (name, spot) in enumerate(points):
            color, mark = STRONG[index % len(STRONG)], MARKS[index % len(MARKS)]
            curve = Curve(short(name), (spot,), baseline=False)
            draw_curve(axes, curve, color, mark, "none", strong=True)

    return picture(paint, title, subtitle)


def short(name: str) -> str:
    """Return a name for the legend: its end, where the file is, if all of it is too long.

    It never begins with an underscore, by which matplotlib would leave it out.
    """
    name = name if len(name) <= NAME else f"...{name[3 - NAME :]}"
    return f"./{name}" if name.startswith("_") else name
