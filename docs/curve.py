"""The pictures of accuracy against bits per class, beside what is published.

``python docs/curve.py`` writes ``curve-cifar10.png`` and ``curve-cifar100.png`` from the published
files, from what was measured beside them (``examples/results/measured.json``) and from the tables
below. What a picture shows is written into it, so that a test can tell whether it is of today.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from result_tables import baselines, facts, network_in

from ddcodec.runtime.atomic import write_atomically
from ddcodec.sweep.plot import FADED, PLAIN, STRONG, picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

AVIF = "random_images_avif"
BESIDE = {
    "quantised_network_same_bytes": "quantised network",
    "random_images_jpeg": "random images, JPEG",
    AVIF: "random images, AVIF",
}
ALL, PART = "published, all counted", "published, part counted"
POSTERS, LIVE = "ddcodec, posters", "ddcodec, labels that live"
LONG = "ddcodec, 90 minutes"
OURS = {POSTERS: (STRONG[0], "o"), LIVE: (STRONG[2], "s"), LONG: (STRONG[0], "D")}
Published = tuple[tuple[str, float, float, str], ...]
# Name, kbit a class, accuracy in percent, what its bits count. Figures of the papers; those of
# DD-RUO (arXiv 2507.17221) were read off the plots of its repository.
CIFAR10: Published = (
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
CIFAR100: Published = (
    ("PoDD, 8 bits", 9.8, 35.7, PART),
    ("DD-RUO", 69.0, 44.4, ALL),
    ("RTP", 98.3, 34.0, PART),
    ("SPEED", 98.3, 40.0, PART),
    ("PTQ-DC", 98.3, 48.0, PART),
)


@dataclass(frozen=True)
class Curve:
    """What a picture shows: files of minutes, joined; others, which took long; published points.

    Attributes:
        posters: files whose students take seconds.
        live: files with labels that live, whose students take minutes, as do those of random
            images beside them.
        long: posters that took long to encode.
    """

    name: str
    posters: tuple[str, ...]
    live: tuple[str, ...]
    published: Published
    below: str
    long: tuple[str, ...] = ()

    @property
    def ours(self) -> dict[str, tuple[str, ...]]:
        """Our files, by the name that the picture gives them."""
        own = {POSTERS: self.posters, LIVE: self.live, LONG: self.long}
        return {name: stems for name, stems in own.items() if stems}

    @property
    def picture(self) -> Path:
        return Path(__file__).with_name(f"curve-{self.name.lower().replace('-', '')}.png")


CURVES = (
    Curve(
        "CIFAR-10",
        ("cifar10-2k", "cifar10-5k", "cifar10-10k", "cifar10-20k"),
        ("cifar10-20k-live", "cifar10-50k", "cifar10-100k"),
        CIFAR10,
        "encoded in 9 to 16 minutes of one core; students take seconds, green and black minutes",
        ("cifar10-1.0-90m",),
    ),
    Curve(
        "CIFAR-100",
        ("cifar100-2k", "cifar100-5k"),
        ("cifar100-5k-live", "cifar100-10k", "cifar100-30k", "cifar100-70k"),
        CIFAR100,
        "encoded in 14 to 22 minutes of one core; students take seconds, green and black minutes",
    ),
)

Points = dict[str, list[list[float]]]  # by name: bits a class, mean and std in percent


def points(curve: Curve) -> Points:
    """Return what a picture shows of ours, and beside it what there is a figure of."""
    found: Points = {
        name: [point(stem, facts(stem)["measured"]) for stem in stems]
        for name, stems in curve.ours.items()
    }
    for key, name in BESIDE.items():
        found[name] = [
            point(stem, entry) for stem in curve.posters if (entry := baselines(stem).get(key))
        ]
    found["random images, AVIF, minutes"] = [
        point(stem, entry) for stem in curve.live if (entry := baselines(stem).get(AVIF))
    ]
    found["network in the file"] = [
        point(stem, {"accuracy_mean": known, "accuracy_std": 0})
        for stem in curve.live
        if (known := network_in(stem)) is not None
    ]
    return {name: spots for name, spots in found.items() if spots}


def point(stem: str, entry: dict[str, Any]) -> list[float]:
    mean, std = (round(100 * entry[name], 2) for name in ("accuracy_mean", "accuracy_std"))
    return [round(facts(stem)["bits_per_class"]), mean, std]


def paint(axes: Axes, curve: Curve) -> None:
    plain = iter(PLAIN)
    for name, spots in points(curve).items():
        mine = name in OURS
        color, mark, dashes = (*OURS[name], "-") if mine else next(plain)
        at, means, stds = zip(*spots, strict=True)
        width = 2.2 if mine else 1.2
        axes.errorbar(at, means, stds, label=name, color=color, marker=mark, linestyle=dashes,
                      linewidth=width, capsize=3, zorder=4)  # fmt: skip
    for counted, fill in ((ALL, STRONG[1]), (PART, "none")):
        shown = [each for each in curve.published if each[3] == counted]
        at, means = [1000 * each[1] for each in shown], [each[2] for each in shown]
        axes.scatter(at, means, s=36, facecolors=fill, edgecolors=STRONG[1], label=counted)
    for name, kbit, mean, _ in curve.published:
        left = kbit > 10 and name != "IDC"  # else on the right, where there is room
        axes.annotate(name, (1000 * kbit, mean), (-8 if left else 8, 2 if name == "DD-RUO" else -3),
                      textcoords="offset points", ha="right" if left else "left", fontsize=9,
                      color=FADED)  # fmt: skip


def render(curve: Curve) -> bytes:
    """Return the picture as PNG, with what it shows as text."""
    title = f"{curve.name}: accuracy against bits per class"
    drawn = picture(partial(paint, curve=curve), title, curve.below)
    told = PngInfo()
    told.add_text("points", json.dumps(points(curve)))
    data = io.BytesIO()
    Image.open(io.BytesIO(drawn)).quantize(64).save(data, "PNG", optimize=True, pnginfo=told)
    return data.getvalue()


if __name__ == "__main__":
    for each in CURVES:
        write_atomically(each.picture, render(each))
