"""What a LIC file says and holds: mosaics, their labels or the network that gives them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zstandard
from numpy.typing import NDArray
from torch import Tensor

from ...format import Manifest, context, read_manifest
from ...format.chunk_writer import ChunkWriter
from ...format.payload import little_endian
from ...format.pictures import decode_picture, encode_picture
from ...observers.file import Trained
from ...runtime.progress import Reporter
from ..base import Request
from ..shared.groups import Group, Parts
from ..shared.mosaic import Mosaic
from ..shared.statement import command_of, image_of, provenance_of, source_of, student_recipe
from .decode import all_regions, geometry_of
from .embedding import embed, is_embeddable
from .integer_network import RESIDUAL, taken_apart
from .params import LICParams

LEVEL = 19  # of zstd, for all that a file of this codec holds
LOOKED_AT = 8  # groups that show the teacher the range of its values, and mosaics of each
LABELS = ("labels", "label_classes")
# What the recorded command says, in this order.
RECORDED = (
    "ipc total_bytes observer epochs select squeeze candidates steps labels temperature precision "
    "images seed size test_share compensate"
)


def stored_images(mosaics: NDArray[np.uint8], params: LICParams) -> Group:
    """Return ``images`` as they come back, and the ``picture`` of a lossy coder."""
    if params.images == "zstd":
        return {"images": mosaics}
    picture = encode_picture(mosaics, params.images, params.quality)
    back = decode_picture("images", picture, mosaics.shape, params.images)
    return {"images": back, "picture": np.frombuffer(picture, np.uint8).copy()}


def bytes_of_images(mosaics: NDArray[np.uint8], params: LICParams) -> int:
    """Return what mosaics uint8 (B, C, H, W) take in a file as one piece."""
    if params.images == "zstd":
        return coded_bytes([mosaics])
    return len(encode_picture(mosaics, params.images, params.quality))


def pack(
    request: Request, parts: Parts, groups: int, observer: Trained, params: LICParams
) -> Manifest:
    """Write the file from finished groups, a chunk each, and return its manifest."""
    source = request.source
    pool, classes = source.by_class(), len(source.classes)
    common = {"seed": params.seed, **source.asked}
    command = command_of(source.name, "lic", RECORDED, params.recorded, **common)
    rows = params.ipc * min(params.group, classes)  # a group is a chunk
    kind, labels = params.labels.kind, params.labels.as_json()
    names = ["images"]
    if kind != "teacher":
        names += LABELS if kind == "top" else LABELS[:1]
    geometry = params.mosaic(*pool.shape[1:])
    with ChunkWriter(request.out, level=LEVEL) as writer:
        for name in names:
            writer.tensor(name, rows, coder=params.images if name == "images" else "zstd")
        for group in map(parts.load, range(groups)):
            for name in names:
                picture = group["picture"].tobytes() if "picture" in group else None
                writer.add(name, group[name], picture if name == "images" else None)
        if kind == "teacher":
            arrays, scale = embedded(observer, parts, groups, geometry)
            name, size = taken_apart(observer.description.architecture)
            labels |= {"architecture": name, "scale": scale} | ({"size": size} if size else {})
            for tensor, array in arrays.items():
                if size:
                    writer.whole(tensor, array)
                else:
                    writer.tensor(tensor, len(array))
                    writer.add(tensor, array)
        cells = [geometry.columns, geometry.rows]
        manifest = Manifest(
            codec={"name": "lic", "version": 1, "params": {"cells": cells, "filter": "bilinear"}},
            classes=source.classes,
            image=image_of(pool.shape, observer.description.image["preprocessing"]),
            tensors={},
            labels=labels,
            recipe=student_recipe(
                pool.shape, params.ipc * classes, geometry.regions, classes, params.labels.live
            ),
            source=source_of(source.name, pool.total, pool.digest(), **source.asked),
            provenance=provenance_of(command, params.seed, observer),
        )
        return writer.finish(manifest)


def embedded(
    observer: Trained, parts: Parts, groups: int, geometry: Mosaic
) -> tuple[dict[str, NDArray[Any]], float]:
    """Return the tensors of an observer in integers, and its scale (see ``embedding.embed``)."""
    numbers = sorted({i * groups // LOOKED_AT for i in range(LOOKED_AT)})
    each = LOOKED_AT * LOOKED_AT // len(numbers)  # as many in all where there are fewer groups
    shown = [spread(torch.from_numpy(parts.load(number)["images"]), each) for number in numbers]
    return embed(observer, all_regions(torch.cat(shown), geometry))


def spread(images: Tensor, count: int) -> Tensor:
    """Return at most ``count`` of the images (N, C, H, W), evenly from the first to the last."""
    places = torch.linspace(0, len(images) - 1, min(count, len(images))).long()
    return images[places]


def tell_bytes_of_labels(
    reporter: Reporter, out: Path, parts: Parts, groups: int, observer: Trained
) -> None:
    """Report the bytes of the labels in a file, and of the other way to keep soft labels.

    There is none for an observer that no file can hold, and for labels that are not soft.
    """
    manifest, sizes = read_manifest(out)
    images = sizes.tensors["images"]
    size, kind = sum(sizes.tensors.values()) - images, manifest.labels["kind"]
    architecture = observer.description.architecture
    if kind == "index" or not is_embeddable(architecture):
        return
    own, rest, option = "stored soft labels", "the teacher itself", "embed-teacher"
    if kind == "teacher":
        own, rest, option = "the teacher", "stored soft labels", "auto"
        every = (
            group[name]
            for group in map(parts.load, range(groups))
            for name in LABELS
            if name in group
        )
        other = coded_bytes(every)
    else:
        teacher, _ = embedded(observer, parts, groups, geometry_of(manifest))
        other = coded_bytes(teacher.values(), architecture.startswith(RESIDUAL))
    if "live" in manifest.labels:  # stored ones know no views, so they are another thing
        verdict = f"images {images:,}" + (", less than the network" if images < size else "")
        reporter.note(
            f"labels: the network that gives them {size:,} bytes, stored soft labels would take "
            f"{other:,}; {verdict}"
        )
        return
    verdict = "the smaller of both"
    if other < size:
        verdict = f"`labels`={option} makes the file {size - other:,} bytes smaller"
    reporter.note(f"labels: {own} {size:,} bytes, {rest} {other:,}; {verdict} (images: {images:,})")


def coded_bytes(arrays: Iterable[NDArray[Any]], symbols: bool = False) -> int:
    """Return the bytes of arrays in a file, each a piece of its own.

    ``symbols`` are in the coder context, others in zstd.
    """
    if symbols:
        return sum(len(context.encode(array, 8)) for array in arrays)
    coder = zstandard.ZstdCompressor(level=LEVEL, write_content_size=True)
    return sum(len(coder.compress(little_endian(array))) for array in arrays)
