"""What must hold for a file of the codec ``ppodd``: posters of several stages and their weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from ...errors import InvalidFile, LimitExceeded
from ...format.manifest import Manifest
from ...format.values import is_number, need
from ...limits import Limits
from ..podd.rules import check_podd
from ..shared.rules import check_pooling
from .stages import MOST_STAGES, stage_arrays, stage_count, tensor_names


def check_ppodd(manifest: Manifest, limits: Limits) -> None:
    """Check everything that needs no tensor data; raises InvalidFile or LimitExceeded."""
    params = manifest.codec["params"]
    need(isinstance(params, dict) and "weights" in params, "codec: params")
    need(set(params) <= {"weights", "differences"}, "codec: params")
    weights = params["weights"]
    need(isinstance(weights, list) and 1 <= len(weights) <= MOST_STAGES, "codec: weights")
    need(all(is_number(w, 1e-6, 1) for w in weights), "codec: a weight must lie in 1e-6 to 1")
    count, learned = stage_count(manifest), manifest.labels.get("kind") == "learned"
    names = tensor_names(count, learned)
    need(set(manifest.tensors) == set(names), "tensors: not those of the stages", "DDS-E013")
    later = [name for name in names if not name.endswith("_1")]
    if "differences" in params:
        found = params["differences"]
        known = isinstance(found, list) and len(found) > 0 and all(n in later for n in found)
        need(known and found == sorted(set(found)), "codec: differences", "DDS-E013")
    first = manifest.tensors["poster_1"]
    for stage in range(1, count + 1):
        poster = manifest.tensors[f"poster_{stage}"]
        need(poster.shape == first.shape, "tensors: posters differ in shape", "DDS-E013")
        check_podd(stage_view(manifest, stage), limits)
    assert manifest.patches is not None
    across, down = manifest.patches["grid"]
    patches = across * down * count
    if patches > limits.patches:
        raise LimitExceeded(f"{patches} patches, the limit is {limits.patches}", "DDS-E040")
    check_pooling(patches, 1, len(manifest.classes), limits)


def check_ppodd_values(manifest: Manifest, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Check what depends on values, once all tensors are there; raises InvalidFile."""
    names = tensor_names(stage_count(manifest), manifest.labels["kind"] == "learned")
    if not set(names) <= set(arrays):
        return  # some chunks only: the labels of a stage may need those of all before it
    differences = manifest.codec["params"].get("differences", [])
    for name in names:
        if name.startswith("labels") and name not in differences and (arrays[name] < 0).any():
            raise InvalidFile(f"tensor '{name}': a value is negative", "DDS-E014")
    for number, stage in enumerate(stage_arrays(manifest, arrays), 1):
        if not all(bool(abs(values).max() < float("inf")) for values in stage.values()):
            raise InvalidFile(f"stage {number}: a sum of differences is not finite", "DDS-E023")
        if "labels" in stage and not bool((stage["labels"].max(axis=-1) > 0).all()):
            raise InvalidFile(f"tensor 'labels_{number}': a cell is all zero", "DDS-E014")


def stage_view(manifest: Manifest, stage: int) -> Manifest:
    """Return what a ``podd`` file of one stage (from 1) alone would say."""
    tensors = {
        name: manifest.tensors[f"{name}_{stage}"]
        for name in ("poster", "labels")
        if f"{name}_{stage}" in manifest.tensors
    }
    codec = {"name": "podd", "version": 1, "params": {}}
    return replace(manifest, codec=codec, tensors=tensors)
