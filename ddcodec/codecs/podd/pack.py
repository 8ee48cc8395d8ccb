"""What a PoDD file says and holds: the manifest, poster and labels, and how they are stored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import LimitExceeded
from ...format import Manifest, Storage, to_bytes, write
from ...sources.base import Source
from ..shared.statement import image_of, provenance_of, source_of
from .params import PoDDParams
from .plan import Plan
from .variables import PosterVariables

COARSER, MOST_COARSE = 1.02, 8.0  # of the levels, where an estimate of bytes fell short
Arrays = dict[str, NDArray[np.float32]]


def pack(
    source: Source,
    plan: Plan,
    params: PoDDParams,
    variables: PosterVariables,
    preprocessing: dict[str, Any],
    steps: int,
    out: Path,
) -> Manifest:
    """Quantise poster and labels, write the file, return the manifest with its digests."""
    manifest = describe(source, plan, params, preprocessing, steps)
    arrays, storage = tensors_of(variables, params)
    if plan.total_bytes is not None:
        storage = coarse_enough(manifest, arrays, storage, params, plan.total_bytes)
    return write(out, manifest, arrays, storage)


def tensors_of(variables: PosterVariables, params: PoDDParams) -> tuple[Arrays, dict[str, Storage]]:
    """Return what a file holds of poster and labels, and how."""
    arrays: Arrays = {"poster": variables.poster.cpu().numpy()}
    storage = {"poster": params.stored.poster}
    if variables.label_array is not None:
        grid_x, grid_y = params.label_grid
        array = variables.label_array.cpu().numpy()
        arrays["labels"] = array.reshape(grid_y, grid_x, -1)
        storage["labels"] = params.stored.labels
    return arrays, storage


def describe(
    source: Source, plan: Plan, params: PoDDParams, preprocessing: dict[str, Any], steps: int
) -> Manifest:
    """Return the manifest of a file of ``steps`` outer steps, without tensors and digests."""
    labels: dict[str, Any] = {"kind": params.label_kind, "pooling": params.label_pooling}
    if params.label_kind == "learned":
        labels["grid"] = list(params.label_grid)
    order: dict[str, Any] = {
        "grid": list(plan.order.grid),
        "cells": [int(c) for c in plan.order.cells],
        "rule": plan.order.rule,
    }
    if plan.order.score is not None:
        order["score"] = float(f"{plan.order.score:.6g}")
    return Manifest(
        codec={"name": "podd", "version": 1, "params": {}},
        classes=source.classes,
        image=image_of((source.channels, source.height, source.width), preprocessing),
        tensors={},
        labels=labels,
        order=order,
        patches={
            "grid": list(params.patch_grid),
            "size": [source.height, source.width],
            "origins": params.origins,
        },
        recipe=plan.recipe,
        source=source_of(source.name, len(source.train.labels), source.digest()),
        provenance=provenance_of(_command(plan, params, steps), params.seed),
    )


def _command(plan: Plan, params: PoDDParams, steps: int) -> str:
    """Return what makes the file again; of a run that was stopped, its beginning."""
    alike = all(
        not (stage.cosine or stage.aware or stage.truncation == "adaptive")
        for stage in params.stages
    )
    if steps >= params.steps or alike:
        return plan.command(steps)
    # What a step does depends on how many there are to be.
    return f"{plan.command(params.steps)}  # stopped after {steps}"


def coarse_enough(
    manifest: Manifest, arrays: Arrays, storage: dict[str, Storage], params: PoDDParams, total: int
) -> dict[str, Storage]:
    """Return ``storage`` with levels of the poster as wide as a file of ``total`` bytes needs.

    They stay as they are where the file fits already. Raises LimitExceeded where none would do.
    """
    coarse = 1.0
    while len(to_bytes(manifest, arrays, storage)[0]) > total:
        coarse *= COARSER
        if params.stored.poster_bits is None or coarse > MOST_COARSE:
            raise LimitExceeded(f"the file does not fit into {total} bytes; use fewer bits")
        storage = {**storage, "poster": replace(storage["poster"], coarse=coarse)}
    return storage
