"""In words: which alternatives are better than the distilled files of their place in a sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .grid import Place

Entry = Mapping[str, Any]


def ahead(points: Sequence[Entry], baselines: Sequence[Entry]) -> dict[str, tuple[int, int]]:
    """Return, by baseline, at how many places it is above the files, and of how many.

    Files of all seeds of a place count together. Those that are above none are left out; the most
    frequent come first.
    """
    scores: dict[Place, list[float]] = {}
    for point in points:
        scores.setdefault(Place.of(point), []).extend(point["per_net"])
    counts: dict[str, tuple[int, int]] = {}
    for entry in baselines:
        files = scores.get(Place.of(entry))
        if not files:
            continue
        above, of = counts.get(entry["name"], (0, 0))
        mean = entry["accuracy_mean"]
        better = mean is not None and mean > float(np.mean(files))
        counts[entry["name"]] = above + better, of + 1
    found = {name: count for name, count in counts.items() if count[0]}
    return dict(sorted(found.items(), key=lambda item: -item[1][0] / item[1][1]))


def network_in_file(share: float) -> str:
    """Return what the network in a file reaches that labels views, used instead of a student."""
    return f"the network in the file, which labels views, has {100 * share:.1f} % by itself"


def sentence(
    points: Sequence[Entry], baselines: Sequence[Entry], titles: Mapping[str, str]
) -> str | None:
    """Return one line that says what is better than the files, None without baselines."""
    if not points or not baselines:
        return None
    better = [
        f"{titles.get(name, name)} ({above} of {of} sizes)"
        for name, (above, of) in ahead(points, baselines).items()
    ]
    if not better:
        return "Nothing in the same bytes or pixels is better than the files."
    return f"Better than the files: {'; '.join(better)}."
