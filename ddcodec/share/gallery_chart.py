"""The curve of a gallery, accuracy against bits per class, as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
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


def chart(points: Sequence[Point], width: int, height: int) -> str:
    """Return an SVG of ``width`` x ``height`` units, empty text where there is no point.

    One colour for each set of test images. A line joins the files that no smaller file of their
    series reaches.
    """
    if not points:
        return ""
    bits, marks = _ticks_of_size([p.bits for p in points])
    low, high, steps = _ticks_of_share(points)
    inner_width, inner_height = width - LEFT - RIGHT, height - TOP - BOTTOM

    def x(value: float) -> float:
        share = (math.log10(value) - bits[0]) / (bits[1] - bits[0])
        return round(LEFT + share * inner_width, 1)

    def y(value: float) -> float:
        return round(TOP + (high - value) / (high - low) * inner_height, 1)

    base = height - BOTTOM
    parts = [
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="Accuracy against bits per '
        f'class, {len(points)} files">'
    ]
    for step in steps:
        parts.append(f'<path class="grid" d="M{LEFT} {y(step)}H{width - RIGHT}"/>')
        parts.append(f'<text class="tick end" x="{LEFT - 8}" y="{y(step) + 4}">{step:.0%}</text>')
    for mark in marks:
        parts.append(f'<path class="grid" d="M{x(mark)} {TOP}V{base}"/>')
        parts.append(f'<text class="tick mid" x="{x(mark)}" y="{base + 18}">{_count(mark)}</text>')
    parts.append(
        f'<text class="axis mid" x="{LEFT + inner_width / 2:g}" y="{height - 6}">bits per class, '
        "everything in the file counted</text>"
    )
    for index, series in enumerate(series_of(points)):
        members = sorted((p for p in points if p.series == series), key=lambda p: p.bits)
        line = " ".join(f"{x(p.bits)},{y(p.accuracy)}" for p in frontier(members))
        parts.append(f'<g class="series s{index % COLOURS}"><polyline points="{line}"/>')
        for p in members:
            top, bottom = y(p.accuracy + p.deviation), y(p.accuracy - p.deviation)
            parts.append(f'<path d="M{x(p.bits)} {top}V{bottom}"/>')
        for p in members:
            said = f"{p.name}: {100 * p.accuracy:.1f} % at {p.bits:,.0f} bits per class"
            parts.append(
                f'<a href="#{p.row}"><circle cx="{x(p.bits)}" cy="{y(p.accuracy)}" r="5">'
                f"<title>{escape(said)}</title></circle></a>"
            )
        parts.append("</g>")
    return "".join([*parts, "</svg>"])


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
    """Return the ends of the axis as powers of ten, and round sizes between them."""
    low, high = math.log10(min(sizes)), math.log10(max(sizes))
    room = max(0.08 * (high - low), 0.08)
    ends = low - room, high + room
    decades = range(math.floor(ends[0]), math.ceil(ends[1]) + 1)
    for multiples in ((1, 2, 5), (1, 3), (1,)):
        marks = [m * 10.0**d for d in decades for m in multiples]
        marks = [mark for mark in marks if ends[0] <= math.log10(mark) <= ends[1]]
        if len(marks) <= 7:
            break
    return ends, marks


def _ticks_of_share(points: Sequence[Point]) -> tuple[float, float, list[float]]:
    """Return the ends of the axis and its steps, shares of 1."""
    low = max(0.0, min(p.accuracy - p.deviation for p in points))
    high = min(1.0, max(p.accuracy + p.deviation for p in points))
    step = next(s for s in (0.02, 0.05, 0.1, 0.2) if (high - low) / s <= 5 or s == 0.2)
    first, last = math.floor(low / step), math.ceil(high / step)
    last = max(last, first + 1)
    return first * step, last * step, [index * step for index in range(first, last + 1)]


def _count(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g} {letter}"
    return f"{value:g}"
