"""Manifests and arrays of small files, each valid as it stands."""

from __future__ import annotations

from typing import Any

import numpy as np

from ddcodec.format import Manifest, Storage

DIGEST = "0" * 32


def manifest(**changes: Any) -> Manifest:
    """A PoDD manifest of three classes on a grey poster of 6 x 10 with 4 x 2 patches of 4 x 4."""
    fields: dict[str, Any] = {
        "codec": {"name": "podd", "version": 1, "params": {}},
        "classes": ("ant", "bee", "zebra"),
        "image": {
            "channels": 1,
            "height": 4,
            "width": 4,
            "colour": "grey",
            "preprocessing": {"kind": "standardise", "mean": [0.5], "std": [0.25]},
        },
        "tensors": {},
        "labels": {"kind": "learned", "pooling": "cell", "grid": [4, 2]},
        "order": {"grid": [3, 1], "cells": [2, 0, 1], "rule": "given"},
        "patches": {"grid": [4, 2], "size": [4, 4], "origins": "linspace-half-even"},
        "recipe": {
            "network": {"name": "convnet", "norm": "instance", "depth": 1, "width": 8},
            "optimizer": {"name": "adam", "lr": 0.01},
            "steps": 10,
            "batch_size": 8,
            "augment": "none",
            "loss": "soft_cross_entropy",
        },
        "source": {"name": "zoo", "split": "train", "count": 30, "digest": DIGEST},
        "provenance": {"tool": "test", "command": "ddcodec encode zoo", "seed": 0},
    }
    return Manifest(**{**fields, **changes})


def arrays() -> dict[str, np.ndarray]:
    random = np.random.default_rng(1)
    labels = random.random((2, 4, 3)).astype(np.float32)
    return {"poster": random.normal(size=(1, 6, 10)).astype(np.float32), "labels": labels}


def images_manifest(**changes: Any) -> Manifest:
    """A manifest of stored images, 4 x 4 grey, with soft labels of three classes."""
    return manifest(
        codec={"name": "images", "version": 1, "params": {}},
        labels={"kind": "soft"},
        order=None,
        patches=None,
        **changes,
    )


def images_arrays(count: int = 5) -> dict[str, np.ndarray]:
    random = np.random.default_rng(8)
    labels = random.random((count, 3)).astype(np.float32)
    return {"images": random.integers(0, 256, (count, 1, 4, 4), np.uint8), "labels": labels}


STORAGE = {"poster": Storage(bits=8, per_channel=True), "labels": Storage(bits=8)}
