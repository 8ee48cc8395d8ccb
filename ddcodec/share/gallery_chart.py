"""The curve of a gallery, accuracy against bits per class, as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

COLOURS = 6  # that the style sheet has; more test sets begin again
LEFT, RIGHT, TOP, BOTTOM = 46, 16, 14, 46  # pixels around the plot


@dataclass(frozen=True)
class Point:
    """A file on the curve: accuracy and deviation are shares of 1, ``row`` is the id of its row."""

    series: str
    bits: float
    accuracy: float
    deviation: float
    name: str
    row: str


class Plot:
    """Where values are drawn: sizes on a logarithmic axis, shares on an even one."""

    def __init__(self, points: Sequence[Point], width: int, height: int) -> None:
        self.right, self.base = width - RIGHT, height - BOTTOM
        self.ends, self.sizes = _ticks_of_size([point.bits for point in points])
        self.shares = _ticks_of_share(points)

    def x(self, bits: float) -> float:
        low, high = self.ends
        return round(LEFT + (math.log10(bits) - low) / (high - low) * (self.right - LEFT), 1)

    def y(self, share: float) -> float:
        low, high = self.shares[0], self.shares[-1]
        inside = min(max(share, low), high)
        return round(TOP + (high - inside) / (high - low) * (self.base - TOP), 1)


def chart(points: Sequence[Point], width: int, height: int) -> str:
    """Return an SVG of ``width`` x ``height`` units, empty text where there is no point.

    One colour for each set of test images. A line joins the files that no smaller file of their
    series reaches.
    """
    if not points:
        return ""
    plot = Plot(points, width, height)
    parts = [
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="Accuracy against bits per '
        f'class, {len(points)} files">',
        *_axes(plot),
        f'<text class="axis mid" x="{(LEFT + plot.right) / 2:g}" y="{height - 6}">bits per class, '
        "everything in the file counted</text>",
    ]
    for index, series in enumerate(series_of(points)):
        members = sorted((p for p in points if p.series == series), key=lambda p: p.bits)
        parts += [f'<g class="series s{index % COLOURS}">', *_line(plot, members), "</g>"]
    return "".join([*parts, "</svg>"])


def _axes(plot: Plot) -> Iterator[str]:
    for share in plot.shares:
        y = plot.y(share)
        yield f'<path class="grid" d="M{LEFT} {y}H{plot.right}"/>'
        yield f'<text class="tick end" x="{LEFT - 8}" y="{y + 4}">{share:.0%}</text>'
    for size in plot.sizes:
        x = plot.x(size)
        yield f'<path class="grid" d="M{x} {TOP}V{plot.base}"/>'
        yield f'<text class="tick mid" x="{x}" y="{plot.base + 18}">{_count(size)}</text>'


def _line(plot: Plot, members: Sequence[Point]) -> Iterator[str]:
    best = " ".join(f"{plot.x(p.bits)},{plot.y(p.accuracy)}" for p in frontier(members))
    yield f'<polyline points="{best}"/>'
    for p in members:
        top, bottom = plot.y(p.accuracy + p.deviation), plot.y(p.accuracy - p.deviation)
        yield f'<path d="M{plot.x(p.bits)} {top}V{bottom}"/>'
    for p in members:
        said = f"{p.name}: {100 * p.accuracy:.1f} % at {p.bits:,.0f} bits per class"
        yield (
            f'<a href="#{p.row}"><circle cx="{plot.x(p.bits)}" cy="{plot.y(p.accuracy)}" r="5">'
            f"<title>{escape(said)}</title></circle></a>"
        )


def series_of(points: Sequence[Point]) -> list[str]:
    """Return the test sets in the order of their colours."""
    return sorted({point.series for point in points})


def frontier(members: Sequence[Point]) -> list[Point]:
    """Return those of points in rising size that beat all smaller ones."""
    out: list[Point] = []
    for point in members:
        if not out or point.accuracy > out[-1].accuracy:
            out.append(point)
    return out


def _ticks_of_size(sizes: Sequence[float]) -> tuple[tuple[float, float], list[float]]:
    """Return the logarithms of the ends of the axis, and round sizes between them."""
    low, high = math.log10(min(sizes)), math.log10(max(sizes))
    room = max(0.08 * (high - low), 0.2)  # enough for one of 1, 2 and 5 times a power of ten
    ends = low - room, high + room
    decades = range(math.floor(ends[0]), math.ceil(ends[1]) + 1)
    for multiples in ((1, 2, 5), (1, 3), (1,)):
        marks = [m * 10.0**d for d in decades for m in multiples]
        marks = [mark for mark in marks if ends[0] <= math.log10(mark) <= ends[1]]
        if len(marks) <= 7:
            break
    return ends, marks


def _ticks_of_share(points: Sequence[Point]) -> list[float]:
    """Return the steps of the axis from end to end, shares of 1."""
    low = max(0.0, min(p.accuracy - p.deviation for p in points))
    high = min(1.0, max(p.accuracy + p.deviation for p in points))
    step = next(s for s in (0.02, 0.05, 0.1, 0.2) if (high - low) / s <= 5 or s == 0.2)
    first = min(math.floor(low / step), round(1 / step) - 1)
    last = max(math.ceil(high / step), first + 1)
    return [index * step for index in range(first, last + 1)]


def _count(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g} {letter}"
    return f"{value:g}"
