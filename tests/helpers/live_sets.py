"""A data set whose file holds a network that labels views."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ddcodec import DistilledDataset, encode, load
from ddcodec.sources import Source


def live_set(source: Source, observer: Path, path: Path, **settings: Any) -> DistilledDataset:
    """Write a file of few images and the observer that labels their views; load it.

    ``settings`` are those of ``load``.
    """
    if not path.exists():
        options = {"ipc": 2, "steps": 2, "squeeze": 1, "labels": "live", "device": "cpu"}
        encode(source, path, "lic", observer=observer, **options)
    return load(path, **settings)
