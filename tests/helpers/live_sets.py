"""A data set whose file holds a network that labels views."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import ddcodec
from ddcodec import DistilledDataset, encode
from ddcodec.format import read
from ddcodec.sources import Source


def live_set(source: Source, observer: Path, path: Path, **settings: Any) -> DistilledDataset:
    """Write a file of few images with their observer, read as one that says ``live``.

    ``settings`` are those of ``DistilledDataset``.
    """
    if not path.exists():
        options = {"ipc": 2, "steps": 2, "squeeze": 1, "labels": "embed-teacher", "device": "cpu"}
        encode(source, path, "lic", observer=observer, **options)
    file = read(path)
    manifest = replace(
        file.manifest,
        labels=file.manifest.labels | {"live": True},
        recipe=file.manifest.recipe | {"augment": "views_upright", "batch_size": 8},
    )
    return ddcodec.DistilledDataset(replace(file, manifest=manifest), **settings)
