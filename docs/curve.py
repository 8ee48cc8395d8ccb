"""The picture of README: accuracy on CIFAR-10 against bits per class, beside what is published.

``python docs/curve.py`` writes ``curve-cifar10.png`` from the published files, from what was
measured beside them (``examples/results/measured.json``) and from the table below. What it shows is
written into the picture, so that a test can tell whether it is of today.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from result_tables import baselines, facts

from ddcodec.runtime.atomic import write_atomically
from ddcodec.sweep.plot import FADED, PLAIN, STRONG, picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PICTURE = Path(__file__).with_name("curve-cifar10.png")
LONG = ("cifar10-1.0-90m",)
OURS = ("cifar10-2k", "cifar10-5k", "cifar10-10k", "cifar10-20k", "cifar10-50k")
BESIDE = {
    "quantised_network_same_bytes": "quantised network",
    "random_images_jpeg": "random images, JPEG",
}
ALL, PART = "published, all counted", "published, part counted"
# Name, kbit a class, accuracy in percent, what its bits count. Figures of the papers; those of
# DD-RUO (arXiv 2507.17221) were read off the plots of its repository.
PUBLISHED = (
    ("PoDD, 8 bits", 17.0, 54.6, PART),  # arXiv 2403.12040, without labels and ZCA
    ("PoDD, 8 bits", 7.4, 42.3, PART),
    ("PoDD, 8 bits", 25.0, 59.1, PART),
    ("IDC", 25.9, 50.6, ALL),  # its published file
    ("FreD", 98.3, 60.6, PART),
    ("SPEED", 98.3, 63.2, PART),
    ("RTP", 98.3, 66.4, PART),  # arXiv 2206.02916
    ("PTQ-DC", 98.3, 68.9, PART),  # on DATM; arXiv 2603.13346, without labels
    ("DD-RUO", 107.0, 70.3, ALL),
)

Points = dict[str, list[list[float]]]  # by name: bits a class, mean and std in percent


def points() -> Points:
    """Return what the picture shows of ours."""
    ours = {"ddcodec": OURS, "ddcodec, 90 minutes": LONG}
    found: Points = {
        name: [point(stem, facts(stem)["measured"]) for stem in stems]
        for name, stems in ours.items()
    }
    for key, name in BESIDE.items():
        beside = [(stem, baselines(stem).get(key)) for stem in OURS]
        found[name] = [point(stem, entry) for stem, entry in beside if entry is not None]
    return found


def point(stem: str, entry: dict[str, Any]) -> list[float]:
    mean, std = (round(100 * entry[name], 2) for name in ("accuracy_mean", "accuracy_std"))
    return [round(facts(stem)["bits_per_class"]), mean, std]


def paint(axes: Axes) -> None:
    styles = [(STRONG[0], "o", "-"), (STRONG[0], "D", "-"), *PLAIN]
    for (name, spots), (color, mark, dashes) in zip(points().items(), styles, strict=False):
        at, means, stds = zip(*spots, strict=True)
        width = 2.2 if color == STRONG[0] else 1.2
        axes.errorbar(at, means, stds, label=name, color=color, marker=mark, linestyle=dashes,
                      linewidth=width, capsize=3, zorder=4)  # fmt: skip
    for counted, fill in ((ALL, STRONG[1]), (PART, "none")):
        shown = [each for each in PUBLISHED if each[3] == counted]
        at, means = [1000 * each[1] for each in shown], [each[2] for each in shown]
        axes.scatter(at, means, s=36, facecolors=fill, edgecolors=STRONG[1], label=counted)
    for name, kbit, mean, _ in PUBLISHED:
        left = kbit > 10 and name != "IDC"  # else on the right, where there is room
        axes.annotate(name, (1000 * kbit, mean), (-8 if left else 8, 2 if name == "DD-RUO" else -3),
                      textcoords="offset points", ha="right" if left else "left", fontsize=9,
                      color=FADED)  # fmt: skip


def render() -> bytes:
    """Return the picture as PNG, with what it shows as text."""
    title = "CIFAR-10: accuracy against bits per class"
    below = "ddcodec: 15 minutes of one core, the last point lic; hollow points count a part"
    drawn = picture(paint, title, below)
    told = PngInfo()
    told.add_text("points", json.dumps(points()))
    data = io.BytesIO()
    Image.open(io.BytesIO(drawn)).quantize(64).save(data, "PNG", optimize=True, pnginfo=told)
    return data.getvalue()


if __name__ == "__main__":
    write_atomically(PICTURE, render())
