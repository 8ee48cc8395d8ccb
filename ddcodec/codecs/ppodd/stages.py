"""Stages of a ``ppodd`` file: their tensors, how differences add up, how often each is drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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


def added(
    before: NDArray[np.float32], difference: NDArray[np.float32], kind: str
) -> NDArray[np.float32]:
    """Return a stage from the one before: a sum in binary64, rounded once; labels stay >= 0."""
    with np.errstate(over="ignore"):
        total = (before.astype(np.float64) + difference.astype(np.float64)).astype(np.float32)
    return np.maximum(total, np.float32(0)) if kind == "labels" else total


def stage_weights(
    accuracies: Sequence[float],
    stages: int,
    *,
    decay: float = 0.5,
    boost: float = 1.5,
    floor: float = 0.1,
    direction: str = "as-printed",
) -> list[float]:
    """Return the share of each of ``stages`` stages (P-PoDD, algorithm 1), T numbers of sum 1.

    Args:
        accuracies: A_t, shares of 1, of all stages, or of all but the newest, whose accuracy then
            counts as 0.9 of the one before.
        stages: T, at least 1.
        decay: lambda. Stage t counts exp(-lambda (t - 1)) as printed, which favours old stages;
            with the direction ``recent`` exp(-lambda (T - t)), which favours new ones, as the
            paper's text has it.
        boost: beta, a factor for the newest stage.
        floor: epsilon; no stage counts less than floor / T before the shares are scaled to sum 1.
        direction: ``as-printed`` or ``recent``.
    """
    if stages == 1:
        return [1.0]
    known = list(accuracies)
    if len(known) == stages - 1:
        known.append(0.9 * known[-1])
    if len(known) != stages:
        raise ValueError(f"{len(accuracies)} accuracies for {stages} stages")
    raised = [a + 1e-5 for a in known]
    weights = [a / sum(raised) for a in raised]
    for t in range(stages):
        age = t if direction == "as-printed" else stages - 1 - t
        weights[t] *= math.exp(-decay * age)
    weights[-1] *= boost
    weights = [max(w, floor / stages) for w in weights]
    return [w / sum(weights) for w in weights]
