"""Plans and files of any number of classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ddcodec import load
from ddcodec.codecs.podd.options import PoDDOptions
from ddcodec.codecs.podd.plan import Plan, make_plan
from ddcodec.sources import Source, Split


def noise_source(classes: int, height: int = 4, width: int = 4, channels: int = 1) -> Source:
    """Return a source of one random image a class."""
    g = np.random.default_rng(classes)
    images = g.integers(0, 256, (classes, height, width, channels), np.uint8)
    split = Split(images, np.arange(classes))
    names = tuple(f"class {i}" for i in range(classes))
    return Source("noise", names, {"train": lambda: split})


def plan(classes: int, side: tuple[int, int] = (4, 4), *, ipc: float = 1.0, **choices: Any) -> Plan:
    options = PoDDOptions(**{"steps": 3, "order": "given", **choices})
    return make_plan(noise_source(classes, *side), ipc, options)


def check_file(path: Path, classes: int) -> None:
    ds = load(path)
    order, labels = ds.manifest.order, ds.soft_labels.numpy()
    assert order is not None
    assert set(order["cells"]) == set(range(classes))
    assert len(ds) == len(labels)
    assert np.allclose(labels.sum(axis=1), 1, atol=1e-5)
    assert (labels.max(axis=0) > 0).all()  # every class has a share of a patch
    image, _ = ds[len(ds) - 1]
    assert image.isfinite().all()
