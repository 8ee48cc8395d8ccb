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
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ... import __version__
from ...distill.progress import SILENT, Reporter
from ...errors import OutputError
from ...format import Manifest, read_manifest
from ...format.chunk_writer import ChunkWriter
from ...format.pictures import decode_picture, encode_picture
from ...observers.file import Trained
from ...ranks import Ranks
from ...sources.base import Source
from ...sources.by_class import ByClass
from .compensate import compensate
from .decode import geometry_of
from .embedding import LEVEL, comparison, embedded
from .labels import plan_labels, store
from .mosaic import Mosaic
from .params import LICParams
from .parts import Group, Parts
from .recipe import student_recipe
from .relabel import region_logits
from .select import select

ALONE = Ranks()


@dataclass
class Run:
    """How an encode is carried out, without influence on its result on one kind of machine."""

    device: torch.device
    resume: bool = False
    reporter: Reporter = SILENT
    ranks: Ranks = ALONE


def encode(
    source: Source,
    pool: ByClass,
    observer: Trained,
    params: LICParams,
    run: Run,
    out: Path,
    command: str,
) -> Manifest:
    """Make mosaics and labels of every class and write the file at ``out``; return its manifest.

    Of several processes each makes its groups, and the first writes the file.

    Raises KeyboardInterrupt with every finished group kept, CheckpointMismatch where the groups
    to go on from belong to another encode.
    """
    ranks, device = run.ranks, run.ranks.device(run.device)
    observer.network.to(device)
    parts = Parts(out, fingerprint(pool, observer, params))
    if ranks.rank == 0:
        parts.prepare(run.resume)
    ranks.wait()
    groups = params.groups(len(source.classes))
    mine = [number for number in range(len(groups)) if ranks.mine(number)]
    maker = GroupMaker(source.classes, pool, observer, params, device)
    run.reporter.stage("mosaics", len(mine))
    for done, number in enumerate(mine, 1):
        if not parts.has(number):
            parts.save(number, maker.make(groups[number]))
        run.reporter.step(done, maker.loss)
    ranks.wait()
    if ranks.rank == 0:
        try:
            manifest = write(out, parts, len(groups), source, pool, observer, params, command)
            _tell(run.reporter, out, manifest, parts, len(groups), observer)
        except OutputError as error:
            raise OutputError(
                f"{error}; {parts.folder.name} keeps the work, run the same command with --resume"
            ) from None
        parts.remove()
    ranks.wait()
    return read_manifest(out)[0]


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


def fingerprint(pool: ByClass, observer: Trained, params: LICParams) -> str:
    """Return what must be equal for groups of two runs to be exchangeable."""
    identity = [params.as_dict(), pool.digest(), observer.digest, __version__]
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def command_line(source: str, observer: str, params: LICParams, size: int | None) -> str:
    """Return the command that makes the same file again, where source and observer are at hand."""
    words = ["ddcodec", "encode", source, "--codec", "lic", "--ipc", str(params.ipc)]
    words += ["--observer", observer]
    labels = {
        "logits": "logits",
        "top": f"top={params.labels.top}",
        "index": "class",
        "teacher": "embed-teacher",
    }
    options = {
        "--select": (params.selection, "loss"),
        "--squeeze": (str(params.squeeze), "4"),
        "--candidates": (str(params.candidates), "300"),
        "--steps": (str(params.iterations), "0"),
        "--labels": (labels[params.labels.kind], "auto"),
        "--temperature": (f"{params.labels.temperature:g}", "2"),
        "--precision": (params.precision, "auto"),
        "--images": (f"{params.images}={params.quality}" if params.quality else "zstd", "zstd"),
        "--seed": (str(params.seed), "0"),
        "--size": (str(size or 0), "0"),
    }
    words += [
        word for k, (value, usual) in options.items() if value != usual for word in (k, value)
    ]
    return shlex.join(words if params.iterations else [*words, "--no-compensate"])


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
