"""What a sweep has found as curves: accuracy against bits per class, for files and baselines."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from .grid import Place, quality_title
from .record import BASELINE_TITLES, Entry, SweepRecord


@dataclass(frozen=True)
class Spot:
    """One place on a curve: bits per class, accuracy over all networks of all seeds, its std."""

    bits_per_class: float
    mean: float
    std: float


@dataclass(frozen=True)
class Curve:
    """A series of the picture, in order of size."""

    name: str
    spots: tuple[Spot, ...]
    baseline: bool


def curves(record: SweepRecord) -> list[Curve]:
    """Return the distilled files, a curve for each quality and preprocessing, then the baselines.

    Seeds are taken together: the size is their mean, the spread is over all their networks. Where
    there is a single budget, its qualities make one curve.
    """
    places = {Place.of(entry) for entry in record.points}
    varied = ("budget", "quality", "preprocessing")
    vary = {name: len({getattr(p, name) for p in places}) > 1 for name in varied}
    by_budget = vary["quality"] and not vary["budget"]
    series: dict[str, dict[Place, list[Entry]]] = {}
    for entry in sorted(record.points, key=_rank):
        place = Place.of(entry)
        details = {
            place.budget: by_budget,
            quality_title(place.quality): vary["quality"] and not by_budget,
            place.preprocessing: vary["preprocessing"],
        }
        name = ", ".join(["distilled", *(text for text, said in details.items() if said)])
        series.setdefault(name, {}).setdefault(place, []).append(entry)
    out = [_curve(name, groups.values(), False) for name, groups in series.items()]
    for name in dict.fromkeys([*BASELINE_TITLES, *(e["name"] for e in record.baselines)]):
        entries = [e for e in record.baselines if e["name"] == name and e["per_net"]]
        if entries:
            # Sizes that hold the same images are one spot.
            spots = {e["bytes"]: [e] for e in entries}
            out.append(_curve(BASELINE_TITLES.get(name, name), spots.values(), True))
    return out


def _curve(name: str, groups: Iterable[list[Entry]], baseline: bool) -> Curve:
    spots = []
    for entries in groups:
        scores = [score for entry in entries for score in entry["per_net"]]
        size = float(np.mean([entry["bits_per_class"] for entry in entries]))
        spots.append(Spot(size, float(np.mean(scores)), float(np.std(scores))))
    return Curve(name, tuple(sorted(spots, key=lambda spot: spot.bits_per_class)), baseline)


def _rank(entry: Entry) -> tuple[int, str, str, tuple[bool, float], int]:
    # 10 bits after 9, and named qualities after all of them.
    place = Place.of(entry)
    number = place.quality[5:] if place.quality.startswith("bits=") else ""
    bits = int(number) if number.isdigit() else 100
    return (bits, place.quality, place.preprocessing, place.rank, entry["seed"])
