"""Stages of a ``ppodd`` file: which tensors they are, and how differences add up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...format.manifest import Manifest

MOST_STAGES = 100


def stage_count(manifest: Manifest) -> int:
    """Return the number of stages of a ``ppodd`` file."""
    return len(manifest.codec["params"]["weights"])


def stage_shares(manifest: Manifest) -> tuple[float, ...]:
    """Return with which probability each stage is sampled: its weight over the sum of all."""
    weights = [float(w) for w in manifest.codec["params"]["weights"]]
    return tuple(w / sum(weights) for w in weights)


def tensor_names(stages: int, learned: bool) -> list[str]:
    """Return the tensors of a file: poster_1, poster_2, ... and, where learned, labels_1, ..."""
    kinds = ("poster", "labels") if learned else ("poster",)
    return [f"{kind}_{stage}" for stage in range(1, stages + 1) for kind in kinds]


def stage_arrays(
    manifest: Manifest, arrays: Mapping[str, NDArray[Any]]
) -> list[dict[str, NDArray[np.float32]]]:
    """Return ``poster`` and, where learned, ``labels`` of every stage, differences added up."""
    differences = set(manifest.codec["params"].get("differences", []))
    stages: list[dict[str, NDArray[np.float32]]] = []
    for stage in range(1, stage_count(manifest) + 1):
        found = {}
        for kind in ("poster", "labels"):
            name = f"{kind}_{stage}"
            if name in arrays:
                values = arrays[name].astype(np.float32, copy=False)
                found[kind] = (
                    added(stages[-1][kind], values, kind) if name in differences else values
                )
        stages.append(found)
    return stages


def posters(manifest: Manifest, arrays: Mapping[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
    """Return the posters of a file of any codec, float32 (C, H, W), the oldest stage first."""
    if manifest.codec["name"] == "ppodd":
        return [stage["poster"] for stage in stage_arrays(manifest, arrays)]
    return [arrays["poster"]] if "poster" in arrays else []


def added(
    before: NDArray[np.float32], difference: NDArray[np.float32], kind: str
) -> NDArray[np.float32]:
    """Return a stage from the one before: a sum in binary64, rounded once; labels stay >= 0."""
    with np.errstate(over="ignore"):
        total = (before.astype(np.float64) + difference.astype(np.float64)).astype(np.float32)
    return np.maximum(total, np.float32(0)) if kind == "labels" else total
