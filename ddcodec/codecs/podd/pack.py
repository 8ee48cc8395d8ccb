"""What a PoDD file says and holds: the manifest, poster and labels, and how they are stored."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import LimitExceeded
from ...format import Manifest, Storage, to_bytes
from ...format.payload import CODED
from ...sources.base import Source
from ..shared.statement import image_of, provenance_of, source_of
from .frequencies import COARSEST, coefficients, finest, quantised
from .plan import Plan
from .stored import StoredBits
from .variables import PosterVariables

COARSER, MOST_COARSE = 1.02, 8.0  # of the levels, where an estimate of bytes fell short
Arrays = dict[str, NDArray[np.float32]]
Packed = tuple[Manifest, dict[str, NDArray[Any]], dict[str, Storage]]  # what a file is made of


def pack(
    source: Source,
    plan: Plan,
    variables: PosterVariables,
    preprocessing: dict[str, Any],
    steps: int,
) -> Packed:
    """Return what is to be written: poster and labels, and how each is stored."""
    manifest = describe(source, plan, preprocessing, steps)
    arrays = arrays_of(variables, plan)
    if (step := variables.settle()) is not None:
        return coded(manifest, arrays, plan, step)
    storage = storage_of(arrays, plan.stored)
    if plan.total_bytes is not None:
        storage = coarse_enough(manifest, arrays, storage, plan.total_bytes)
    return manifest, arrays, storage


def coded(manifest: Manifest, arrays: Arrays, plan: Plan, step: float) -> Packed:
    """Return the same of a file that holds a poster as coefficients.

    They are coarser than ``step``, and no coarser than need be, where the file would not fit into
    the bytes that were asked for. Raises LimitExceeded where it never does.
    """
    values = coefficients(arrays["poster"])
    poster = Storage(coder="context" if values.size <= CODED else "zstd")
    storage = storage_of(arrays, plan.stored) | {"poster": poster}
    size = [plan.geometry.height, plan.geometry.width]

    def file_of(step: float) -> Packed:
        params = {"transform": {"size": size, "step": step}}
        found = replace(manifest, codec={**manifest.codec, "params": params})
        return found, {**arrays, "poster": quantised(values, step)}, storage

    def fits(step: float) -> bool:
        total = plan.total_bytes
        return total is None or len(to_bytes(*file_of(step))[0]) <= total

    if fits(step):
        return file_of(step)
    if not fits(COARSEST):
        raise LimitExceeded(f"the file does not fit into {plan.total_bytes} bytes")
    return file_of(finest(fits, step))


def arrays_of(variables: PosterVariables, plan: Plan) -> Arrays:
    """Return what a file holds of poster and labels."""
    arrays = {name: tensor.cpu().numpy() for name, tensor in variables.learned.items()}
    if "labels" in arrays:
        grid_x, grid_y = plan.label_grid
        arrays["labels"] = arrays["labels"].reshape(grid_y, grid_x, -1)
    return arrays


def storage_of(arrays: Arrays, stored: StoredBits) -> dict[str, Storage]:
    """Return how a file holds poster and labels."""
    how = {"poster": stored.poster, "labels": stored.labels}
    return {name: how[name] for name in arrays}


def describe(source: Source, plan: Plan, preprocessing: dict[str, Any], steps: int) -> Manifest:
    """Return the manifest of a file of ``steps`` outer steps, without tensors and digests."""
    geometry = plan.geometry
    labels: dict[str, Any] = {"kind": plan.label_kind, "pooling": plan.label_pooling}
    if plan.label_kind == "learned":
        labels["grid"] = list(plan.label_grid)
    order: dict[str, Any] = {
        "grid": list(plan.order.grid),
        "cells": [int(c) for c in plan.order.cells],
        "rule": plan.order.rule,
    }
    if plan.order.score is not None:
        order["score"] = float(f"{plan.order.score:.6g}")
    large = [geometry.height, geometry.width]
    return Manifest(
        codec={
            "name": "podd",
            "version": 1,
            "params": {} if large == list(plan.size) else {"expanded": large},
        },
        classes=source.classes,
        image=image_of((source.channels, source.height, source.width), preprocessing),
        tensors={},
        labels=labels,
        order=order,
        patches={
            "grid": [geometry.patches_x, geometry.patches_y],
            "size": [geometry.patch_h, geometry.patch_w],
            "origins": geometry.rule,
        },
        recipe=plan.recipe(),
        source=source_of(source.name, len(source.train.labels), source.digest(), **source.asked),
        provenance=provenance_of(_command(plan, steps), plan.seed),
    )


def _command(plan: Plan, steps: int) -> str:
    """Return what makes the file again; of a run that was stopped, its beginning."""
    alike = all(
        not (stage.decay or stage.aware or stage.truncation == "adaptive") for stage in plan.stages
    )
    if steps >= plan.steps or alike:
        return plan.command(steps)
    # What a step does depends on how many there are to be.
    return f"{plan.command(plan.steps)}  # stopped after {steps}"


def coarse_enough(
    manifest: Manifest, arrays: Arrays, storage: dict[str, Storage], total: int
) -> dict[str, Storage]:
    """Return ``storage`` with levels of the poster as wide as a file of ``total`` bytes needs.

    They stay as they are where the file fits already. Raises LimitExceeded where none would do.
    """
    coarse = 1.0
    while len(to_bytes(manifest, arrays, storage)[0]) > total:
        coarse *= COARSER
        if storage["poster"].bits is None or coarse > MOST_COARSE:
            raise LimitExceeded(f"the file does not fit into {total} bytes; use fewer bits")
        storage = {**storage, "poster": replace(storage["poster"], coarse=coarse)}
    return storage
