"""The picture of a sweep: accuracy against bits per class, distilled files beside the baselines.

Drawn with matplotlib (extra ``plot``) through its objects, without pyplot's global state.
"""

from __future__ import annotations

import importlib.util
import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import MissingExtra, UsageError
from ..runtime.atomic import write_atomically
from .curves import Curve, curves
from .record import SweepRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Dashes = str | tuple[int, tuple[float, ...]]

INCHES = (8.0, 5.4)
DOTS_PER_INCH = 150  # 1200 pixels: sharp at the width of a page
FULL = "all training images"
INK, FADED, RULE = "#212529", "#6c727a", "#dee2e6"
# Told apart with any colour vision (Okabe and Ito, 2008), and by their marks.
STRONG = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7a5195")
# Baselines are greys: color, mark and dashes of each.
PLAIN: tuple[tuple[str, str, Dashes], ...] = (
    ("#495057", "s", (0, (5, 2))),
    ("#868e96", "^", (0, (5, 2, 1, 2))),
    ("#adb5bd", "D", (0, (2, 1.5))),
    ("#343a40", "v", (0, (1, 1.5))),
    ("#5c636a", "P", (0, (5, 1.5))),
    ("#9aa1a8", "X", (0, (3, 1, 1, 1))),
    ("#7a828a", "<", (0, (1, 1))),
    ("#212529", ">", (0, (4, 1, 1, 1, 1, 1))),
)


def require_matplotlib() -> None:
    """Raise MissingExtra where the picture could not be drawn."""
    if importlib.util.find_spec("matplotlib") is None:
        raise MissingExtra("matplotlib, which draws the picture,", "plot")


def draw(record: SweepRecord, path: Path) -> None:
    """Write the picture of a record to ``path`` as PNG, whole or not at all.

    Raises MissingExtra without matplotlib, UsageError where there is nothing to draw.
    """
    write_atomically(path, render(record))


def render(record: SweepRecord) -> bytes:
    """Return the picture as PNG, 1200 x 810 pixels; the same record gives the same picture."""
    require_matplotlib()
    found = curves(record)
    if not found:
        raise UsageError(f"{record.folder}: no point is measured yet, so there is no picture")
    return picture(lambda axes: _draw_all(axes, record, found), *titles(record))


def picture(paint: Callable[[Axes], None], title: str, subtitle: str) -> bytes:
    """Return what ``paint`` draws on axes of accuracy against bits per class, as PNG.

    Its labels make the legend. Raises MissingExtra without matplotlib.
    """
    require_matplotlib()
    from matplotlib import style

    # Nobody's own settings; and a name in a script that the font lacks is drawn as boxes, since
    # the numbers are what matters.
    with style.context("default"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")
        return _picture(paint, title, subtitle)


def _picture(paint: Callable[[Axes], None], title: str, subtitle: str) -> bytes:
    from matplotlib.figure import Figure

    figure = Figure(figsize=INCHES, dpi=DOTS_PER_INCH)
    figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.08)
    axes = figure.add_subplot()
    paint(axes)
    draw_frame(axes, title, subtitle)
    named = zip(*axes.get_legend_handles_labels(), strict=True)
    handles, labels = zip(*sorted(named, key=lambda each: each[1].startswith(FULL)), strict=True)
    legend = figure.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=3,
        frameon=False,
        fontsize=10.5,
        labelcolor=INK,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
    data = io.BytesIO()
    figure.savefig(data, format="png", metadata={"Software": None})
    return data.getvalue()


def _draw_all(axes: Axes, record: SweepRecord, found: list[Curve]) -> None:
    for index, curve in enumerate(curve for curve in found if not curve.baseline):
        draw_curve(axes, curve, STRONG[index % len(STRONG)], "o", "-", strong=True)
    for index, curve in enumerate(curve for curve in found if curve.baseline):
        color, mark, dashes = PLAIN[index % len(PLAIN)]
        draw_curve(axes, curve, color, mark, dashes, strong=False)
    if record.full_data:
        mean = 100 * record.full_data["accuracy_mean"]
        axes.axhline(mean, color=INK, linewidth=1, label=f"{FULL} ({mean:.1f} %)", zorder=1)


def draw_curve(
    axes: Axes, curve: Curve, color: str, mark: str, dashes: Dashes, *, strong: bool
) -> None:
    """Draw means with their standard deviations; baselines stay behind the distilled files."""
    axes.errorbar(
        [spot.bits_per_class for spot in curve.spots],
        [100 * spot.mean for spot in curve.spots],
        yerr=[100 * spot.std for spot in curve.spots],
        label=curve.name,
        color=color,
        marker=mark,
        markersize=6.5 if strong else 5,
        linewidth=2.2 if strong else 1.2,
        linestyle=dashes,
        elinewidth=1.3 if strong else 0.9,
        capsize=3,
        zorder=3 if strong else 2,
    )


def draw_frame(axes: Axes, title: str, subtitle: str) -> None:
    """Draw title, axes and grid."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    heading: dict[str, Any] = {"parse_math": False, "in_layout": False}
    # An empty line keeps the room for the line under the title.
    axes.set_title("\n", fontsize=13)
    above: dict[str, Any] = {"transform": axes.transAxes, **heading}
    axes.text(0, 1.09, title, fontsize=14, fontweight="bold", color=INK, **above)
    axes.text(0, 1.03, subtitle, fontsize=10, color=FADED, **above)
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.xaxis.set_major_locator(LogLocator(subs=tick_steps(high / low), numticks=14))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_xlabel("bits per class, everything in the file counted", fontsize=11.5, color=INK)
    axes.set_ylabel("test accuracy (%)", fontsize=11.5, color=INK)
    axes.tick_params(labelsize=10.5, colors=FADED, length=3)
    axes.grid(color=RULE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(RULE)


def tick_steps(span: float) -> tuple[float, ...]:
    """Return which multiples of a power of ten are marked on an axis from x to ``span`` x."""
    if span < 2:
        return (1, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.8, 2, 2.2, 2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9)
    if span < 6:
        return (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)
    return (1, 2, 5) if span < 300 else (1,)


def titles(record: SweepRecord) -> tuple[str, str]:
    """Return the title, and the line under it: what was tested with how many networks and steps."""
    what = record.identity
    steps = sorted({entry["train_steps"] for entry in record.points})
    training = f"{steps[0]:,}" if len(steps) == 1 else f"{steps[0]:,} to {steps[-1]:,}"
    parts = [f"{what['nets']} networks a file, {training} steps each"]
    seeds = len({entry["seed"] for entry in record.points})
    parts.append(f"mean ± std over networks and {seeds} seeds" if seeds > 1 else "mean ± std")
    if what["encode"].get("steps"):
        parts.append(f"encoded in {what['encode']['steps']:,} steps")
    elif what["encode"].get("time"):
        parts.append(f"encoded in {what['encode']['time']:g} s")
    title = f"{what['source']}: accuracy against bytes"
    return title, "; ".join(parts)
