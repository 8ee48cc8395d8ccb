"""Plans and files of any number of classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from ddcodec import load
from ddcodec.codecs.base import Request
from ddcodec.codecs.podd.options import PoDD
from ddcodec.codecs.podd.plan import Plan
from ddcodec.codecs.podd.planning import make_plan, settled
from ddcodec.codecs.podd.poster import PosterGeometry
from ddcodec.runtime.progress import SILENT
from ddcodec.sources import Source, Split


def noise_source(classes: int, height: int = 4, width: int = 4, channels: int = 1) -> Source:
    """Return a source of one random image a class."""
    g = np.random.default_rng(classes)
    images = g.integers(0, 256, (classes, height, width, channels), np.uint8)
    split = Split(images, np.arange(classes))
    names = tuple(f"class {i}" for i in range(classes))
    return Source("noise", names, {"train": lambda: split})


def request_for(source: Source, seed: int = 0, size: int | None = None) -> Request:
    """Return a request that only a plan is made of; it has no output."""
    source.asked = {} if size is None else {"size": size}
    return Request(source, Path("none"), torch.device("cpu"), seed, False, False, SILENT)


def plan_of(source: Source, *, ipc: float = 1.0, seed: int = 0, **choices: Any) -> Plan:
    request = request_for(source, seed)
    options = settled(PoDD(ipc=ipc, **choices), request.device)
    return make_plan(source, ipc, options, request)


def plan(classes: int, side: tuple[int, int] = (4, 4), **choices: Any) -> Plan:
    return plan_of(noise_source(classes, *side), **{"steps": 3, "order": "given", **choices})


def cut_out(geometry: PosterGeometry, poster: np.ndarray) -> np.ndarray:
    """Return all patches of a poster (C, H, W), one after the other: (P, C, h, w)."""
    g = geometry
    return np.stack(
        [poster[:, y : y + g.patch_h, x : x + g.patch_w] for x in g.origins_x for y in g.origins_y]
    )


def numbers_of(command: str) -> dict[str, int]:
    """Return the options of a file's command whose values a clock decides."""
    words = command.split()
    names = ("steps", "kernel-steps", "window", "width", "threads")
    given = {name: words.index(f"--{name}") for name in names if f"--{name}" in words}
    return {name.replace("-", "_"): int(words[at + 1]) for name, at in given.items()}


def label_entropy(labels: np.ndarray) -> float:
    """Return the mean entropy of label rows (P, n) over ln n: 0 is one-hot, 1 has collapsed."""
    n = labels.shape[1]
    p = labels.astype(np.float64)
    nats = -np.sum(p * np.log(np.where(p > 0, p, 1)), axis=1)
    return float(nats.mean() / np.log(n)) if n > 1 else 0.0


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
