"""Arrays of someone's set as a file: stored images, mosaics or a poster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..codecs.podd.stored import StoredBits
from ..codecs.registry import CODECS
from ..codecs.shared.labels import LabelPlan, plan_labels, store
from ..codecs.shared.statement import image_of, student_recipe
from ..errors import UsageError
from ..format import Manifest, Storage, write
from ..format.payload import CODED

CHUNK_BYTES = 1 << 20  # of decoded images in a chunk, where there are too many for one piece
LABEL_BITS = 8
TINY = 1e-30  # a share of nothing, whose logarithm is still a number


@dataclass(frozen=True)
class Statement:
    """What a manifest says beside its tensors, whatever the codec.

    Attributes:
        classes, source, provenance, license, ignorable, measured, measured_networks: as there.
        preprocessing: ``image.preprocessing``.
        recipe: fields that differ from the usual ones of the codec; with ``epochs`` in place of
            ``steps``.
    """

    classes: tuple[str, ...]
    preprocessing: Mapping[str, Any]
    source: Mapping[str, Any]
    provenance: Mapping[str, Any]
    recipe: Mapping[str, Any] = field(default_factory=dict)
    license: str | None = None
    ignorable: Mapping[str, Any] = field(default_factory=dict)
    measured: Mapping[str, Any] | None = None
    measured_networks: tuple[dict[str, Any], ...] = ()

    def manifest(
        self, codec: str, shape: tuple[int, ...], regions: int, count: int, **more: Any
    ) -> Manifest:
        """Return the manifest for ``count`` stored images (C, H, W) of ``regions`` each."""
        params = more.pop("params", {})
        return Manifest(
            codec={"name": codec, "version": 1, "params": params},
            classes=self.classes,
            image=image_of((shape[0], shape[1], shape[2]), self.preprocessing),
            tensors={},
            recipe=self.complete_recipe(shape, count, regions),
            source=dict(self.source),
            provenance=dict(self.provenance),
            license=self.license,
            ignorable=dict(self.ignorable),
            measured=None if self.measured is None else dict(self.measured),
            measured_networks=self.measured_networks,
            **more,
        )

    def complete_recipe(
        self, shape: tuple[int, ...], count: int, regions: int = 1
    ) -> dict[str, Any]:
        """Return the recipe for ``count`` stored images (C, H, W) of ``regions`` each."""
        size = (shape[0], shape[1], shape[2])
        usual = student_recipe(size, count, regions, len(self.classes))
        own = dict(self.recipe)
        epochs = own.pop("epochs", None)
        if epochs is not None:
            own.setdefault("batch_size", 256)
            own.setdefault("augment", "none")
            own.setdefault("steps", epochs * -(-count * regions // own["batch_size"]))
        if own.get("augment") == "dsa" and shape[0] == 1:
            own["augment"] = "dsa_upright"  # a mirror image of writing is another sign
        return usual | own


def write_images(
    out: Path,
    images: NDArray[Any],
    labels: NDArray[Any],
    statement: Statement,
    bits: StoredBits,
) -> Manifest:
    """Write the codec ``images``: uint8 or float32 (N, C, H, W), labels int32 or float32.

    Floats are quantised to ``bits.poster_bits``, or kept. Raises InvalidFile for what no file
    may hold, OutputError.
    """
    manifest = statement.manifest(
        "images",
        images.shape[1:],
        1,
        len(images),
        labels={"kind": "index" if labels.ndim == 1 else "soft"},
    )
    levels = bits.poster_bits if images.dtype == np.float32 else None
    arrays = {"images": images, "labels": labels}
    return write(out, manifest, arrays, storage_of(manifest, arrays, levels))


def write_mosaics(
    out: Path, mosaics: NDArray[np.uint8], labels: NDArray[Any], cells: int, statement: Statement
) -> Manifest:
    """Write the codec ``lic``: mosaics uint8 (N, C, H, W) of ``cells`` x ``cells`` images.

    A label holds for the whole mosaic. Soft ones are kept in symbols, each share within 2.2 %.
    """
    count, _, height, width = mosaics.shape
    if cells > min(height, width, 64):
        raise UsageError(f"`factor`={cells}: images of {width}x{height} hold no such cells")
    regions = cells * cells + (cells > 1)
    plan = LabelPlan("index")
    arrays: dict[str, NDArray[Any]] = {"images": mosaics, "labels": labels}
    if labels.ndim == 2:
        plan = plan_labels("auto", len(statement.classes), 1.0)
        logits = torch.from_numpy(np.log(np.maximum(labels.astype(np.float64), TINY)))
        logits[torch.from_numpy(labels == 0)] = -torch.inf
        arrays |= store(logits[:, None].expand(-1, regions, -1), plan)
    manifest = statement.manifest(
        "lic",
        mosaics.shape[1:],
        regions,
        count,
        labels=plan.as_json(),
        params={"cells": [cells, cells], "filter": "bilinear"},
    )
    return write(out, manifest, arrays, storage_of(manifest, arrays))


def write_poster(
    out: Path,
    poster: NDArray[np.float32],
    cells: NDArray[np.float32] | None,
    layout: Mapping[str, Any],
    statement: Statement,
    bits: StoredBits,
) -> Manifest:
    """Write the codec ``podd``: a poster float32 (C, H, W).

    Args:
        cells: labels float32 (rows, columns, classes) of the patches, None for fixed ones.
        layout: ``patches`` and ``order`` of the manifest.
        bits: of poster and labels.
    """
    across, down = layout["patches"]["grid"]
    labels: dict[str, Any] = {"kind": "fixed", "pooling": "majority"}
    arrays = {"poster": poster}
    storage = {"poster": bits.poster}
    if cells is not None:
        labels = {"kind": "learned", "pooling": "cell", "grid": [cells.shape[1], cells.shape[0]]}
        arrays["labels"], storage["labels"] = cells, bits.labels
    height, width = layout["patches"]["size"]
    shape = (poster.shape[0], height, width)
    manifest = statement.manifest("podd", shape, 1, across * down, labels=labels, **layout)
    return write(out, manifest, arrays, storage)


def storage_of(
    manifest: Manifest, arrays: Mapping[str, NDArray[Any]], bits: int | None = None
) -> dict[str, Storage]:
    """Return how stored images, in ``bits`` of a quantiser or as they are, and labels are kept."""
    images, codec = arrays["images"], CODECS[manifest.codec["name"]]
    chunk = chunk_of(images, bits is not None) or (len(images) if codec.in_chunks else None)
    whole = chunk is None and images.dtype == np.uint8
    return {name: Storage(chunk=chunk) for name in arrays} | {
        "images": Storage(bits=bits, coder="context" if whole else None, chunk=chunk)
    }


def chunk_of(images: NDArray[Any], quantised: bool) -> int | None:
    """Return the images of a chunk; None where all are few enough to be coded in one piece."""
    row = prod(images.shape[1:])
    if images.size <= CODED and (quantised or images.dtype == np.uint8):
        return None
    if images.size * images.itemsize <= CHUNK_BYTES:
        return None
    return max(1, CHUNK_BYTES // max(1, row * images.itemsize))


def in_bytes(images: NDArray[np.float32]) -> tuple[NDArray[np.uint8], float]:
    """Return images of 0 to 1 as bytes, and the share of values that lay outside."""
    outside = float(np.mean((images < -0.5 / 255) | (images > 1 + 0.5 / 255)))
    return np.rint(images.clip(0, 1) * 255).astype(np.uint8), outside
