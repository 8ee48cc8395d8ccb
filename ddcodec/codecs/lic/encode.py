"""LIC, squeezed images with compensation: select, squeeze, compensate, relabel, store (paper,
algorithm 1).

Classes are made in groups, one after the other, and every finished group is kept beside the output
until the file is complete: an interrupted encode goes on with the first group that is missing.
Nothing in a group depends on another one, so memory is bounded by a group.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...format import Manifest, read_manifest
from ...format.chunk_writer import ChunkWriter
from ...format.pictures import decode_picture, encode_picture
from ...observers.file import Trained
from ...observers.file import load as load_observer
from ...runtime.device import has_bfloat16
from ...runtime.progress import Reporter
from ...runtime.ranks import joined
from ...sources.base import Source
from ...sources.by_class import ByClass
from ...version import __version__
from ..base import Request
from ..options import AnyPath, Common, spelled
from ..shared.groups import Group, Parts
from ..shared.labels import plan_labels, store
from ..shared.mosaic import Mosaic
from ..shared.recipe import student_recipe
from .compensate import compensate
from .decode import geometry_of
from .embedding import LEVEL, comparison, embedded
from .options import LIC
from .params import LICParams, make_params
from .relabel import region_logits
from .select import select
from .teacher import require_embeddable


def encode(request: Request, options: LIC) -> Manifest:
    """Make mosaics and labels of every class and write the file; return its manifest.

    Of several processes each makes its groups, and the first writes the file.

    Raises UsageError, before any work, for what cannot work; KeyboardInterrupt with every finished
    group kept; CheckpointMismatch where the groups to go on from belong to another encode.
    """
    source, pool = request.source, request.source.by_class()
    assert options.observer is not None  # checked with the options
    observer = load_observer(options.observer)
    observer.require_fit(source.classes, pool.shape)
    precision = "bfloat16" if has_bfloat16(request.device) else "float32"
    params = make_params(options, pool.shape, len(source.classes), precision, request.seed)
    if params.labels.kind == "teacher":
        regions = params.mosaic(*pool.shape[1:]).regions
        require_embeddable(observer, params.ipc * len(source.classes) * regions)
    command = command_line(source.name, options.observer, params, request.size)
    with joined() as ranks:
        device = ranks.device(request.device)
        observer.network.to(device)
        parts = Parts(request.out, identity(pool, observer, params))
        groups = params.groups(len(source.classes))
        maker = GroupMaker(source.classes, pool, observer, params, device)
        with parts.shared(ranks, request.resume):
            mine = [number for number in range(len(groups)) if ranks.mine(number)]
            request.reporter.stage("mosaics", len(mine))
            for done, number in enumerate(mine, 1):
                if not parts.has(number):
                    parts.save(number, maker.make(groups[number]))
                request.reporter.step(done, maker.loss)
        if ranks.rank == 0:
            with parts.finishing():
                manifest = write(
                    request.out, parts, len(groups), source, pool, observer, params, command
                )
                _tell(request.reporter, request.out, manifest, parts, len(groups), observer)
        ranks.wait()
        return read_manifest(request.out)[0]


def _tell(
    reporter: Reporter, out: Path, manifest: Manifest, parts: Parts, groups: int, observer: Trained
) -> None:
    """Say what labels take beside the images, and what the other way to keep them would."""
    sizes = read_manifest(out)[1].tensors
    geometry = geometry_of(manifest)
    size = sum(count for name, count in sizes.items() if name != "images")
    line = comparison(observer, parts, groups, geometry, manifest.labels["kind"], size)
    if line is not None:
        reporter.note(f"{line} (images: {sizes['images']:,})")


def identity(pool: ByClass, observer: Trained, params: LICParams) -> str:
    """Return a digest of what must be equal for groups of two runs to be exchangeable."""
    parts = [params.as_dict(), pool.digest(), observer.digest, __version__]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def command_line(source: str, observer: AnyPath, params: LICParams, size: int | None) -> str:
    """Return the command that makes the same file again, where source and observer are at hand."""
    values = {
        "ipc": params.ipc,
        "observer": Path(observer),
        "select": params.selection,
        "squeeze": params.squeeze,
        "candidates": params.candidates,
        "steps": params.iterations or None,
        "labels": params.labels.as_option(),
        "temperature": params.labels.temperature,
        "precision": params.precision,
        "images": f"{params.images}={params.quality}" if params.quality else params.images,
        "seed": params.seed,
        "size": size,
        "compensate": params.iterations > 0,
    }
    return shlex.join(
        ["ddcodec", "encode", source, "--codec", "lic", *spelled(values, LIC, Common)]
    )


class GroupMaker:
    """Makes the mosaics and labels of a few classes at a time."""

    def __init__(
        self,
        classes: tuple[str, ...],
        pool: ByClass,
        observer: Trained,
        params: LICParams,
        device: torch.device,
    ) -> None:
        self._classes, self._pool = classes, pool
        self._observer, self._params, self._device = observer, params, device
        self._geometry: Mosaic = params.mosaic(*pool.shape[1:])
        # Labels stand beside a teacher until the file is complete, to be compared in bytes.
        plan = params.labels
        auto = plan_labels("auto", len(classes), plan.temperature)
        self._stored = auto if plan.kind == "teacher" else plan
        self.loss = 0.0  # of the observer on the regions of the last group

    def make(self, group: range) -> Group:
        """Return ``images`` and the tensors of the labels of these classes, in their order."""
        params, observer, geometry = self._params, self._observer, self._geometry
        chosen = [
            select(self._pool, label, self._classes[label], observer, params, self._device)
            for label in group
        ]
        originals = torch.cat(chosen)
        mosaics = geometry.squeeze(originals)
        done: list[Tensor] = []
        for start in range(0, len(mosaics), params.batch):
            part = slice(start, start + params.batch)
            inner = slice(start * geometry.cells, (start + params.batch) * geometry.cells)
            key = (group.start, start)
            done.append(
                compensate(mosaics[part], originals[inner], geometry, observer, params, key)
            )
        mosaics = torch.cat(done)
        out = stored_images(mosaics.cpu().numpy(), params)
        # Labels are those of what a decoder gives back.
        mosaics = torch.from_numpy(out["images"]).to(mosaics.device)
        owners = np.repeat(np.arange(group.start, group.stop), params.ipc)
        if params.labels.kind == "index":
            return out | {"labels": owners.astype(np.int32)}
        logits = region_logits(mosaics, geometry, observer)
        own = torch.from_numpy(owners).to(logits.device)[:, None].expand(logits.shape[:2])
        cost = torch.nn.functional.cross_entropy(logits.flatten(0, 1), own.flatten())
        self.loss = float(cost)
        return out | store(logits, self._stored)


def stored_images(mosaics: NDArray[np.uint8], params: LICParams) -> Group:
    """Return ``images`` as they come back, and the ``picture`` of a lossy coder."""
    if params.images == "zstd":
        return {"images": mosaics}
    picture = encode_picture(mosaics, params.images, params.quality)
    back = decode_picture("images", picture, mosaics.shape, params.images)
    return {"images": back, "picture": np.frombuffer(picture, np.uint8).copy()}


def write(
    out: Path,
    parts: Parts,
    groups: int,
    source: Source,
    pool: ByClass,
    observer: Trained,
    params: LICParams,
    command: str,
) -> Manifest:
    """Write the file from finished groups, a chunk each, and return its manifest."""
    classes = len(source.classes)
    rows = params.ipc * min(params.group, classes)  # a group is a chunk
    kind, labels = params.labels.kind, params.labels.as_json()
    names = ["images"]
    if kind != "teacher":
        names += ["labels", "label_classes"] if kind == "top" else ["labels"]
    channels, height, width = pool.shape
    geometry = params.mosaic(height, width)
    with ChunkWriter(out, level=LEVEL) as writer:
        for name in names:
            writer.tensor(name, rows, coder=params.images if name == "images" else "zstd")
        for group in parts.each(groups):
            for name in names:
                picture = group["picture"].tobytes() if "picture" in group else None
                writer.add(name, group[name], picture if name == "images" else None)
        if kind == "teacher":
            arrays, scale = embedded(observer, parts, groups, geometry)
            labels |= {"architecture": observer.description.architecture, "scale": scale}
            for name, array in arrays.items():
                writer.tensor(name, len(array))
                writer.add(name, array)
        manifest = Manifest(
            codec={
                "name": "lic",
                "version": 1,
                "params": {"cells": [geometry.columns, geometry.rows], "filter": "bilinear"},
            },
            classes=source.classes,
            image={
                "channels": channels,
                "height": height,
                "width": width,
                "colour": "grey" if channels == 1 else "rgb",
                "preprocessing": observer.description.image["preprocessing"],
            },
            tensors={},
            labels=labels,
            recipe=student_recipe(
                channels,
                height,
                width,
                params.ipc * classes,
                geometry.regions,
                classes,
            ),
            source={
                "name": source.name,
                "split": "train",
                "count": pool.total,
                "digest": pool.digest()[:32],
            },
            provenance={
                "tool": f"ddcodec {__version__}",
                "command": command,
                "seed": params.seed,
                "observer": {
                    "architecture": observer.description.architecture,
                    "digest": observer.digest[:32],
                },
            },
        )
        return writer.finish(manifest)
