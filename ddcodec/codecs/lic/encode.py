"""LIC, squeezed images with compensation: select, squeeze, compensate, relabel, pack (paper,
algorithm 1).

Classes are made in groups, one after the other, and every finished group is kept beside the output
until the file is complete: an interrupted encode goes on with the first group that is missing.
Nothing in a group depends on another one, so memory is bounded by a group.
"""

from __future__ import annotations

import hashlib
import json

import numpy as np
import torch
from torch import Tensor

from ...errors import SourceError
from ...format import Manifest, read_manifest
from ...observers.file import Trained
from ...observers.file import load as load_observer
from ...runtime.device import has_bfloat16
from ...runtime.ranks import joined
from ...sources.base import ByClass
from ...version import __version__
from ..base import Request
from ..shared.groups import Group, Parts
from ..shared.labels import plan_labels, store
from ..shared.mosaic import Mosaic
from ..shared.selection import candidates, ranked
from .compensate import compensate
from .options import LIC
from .pack import command_line, pack, stored_images, tell_bytes_of_labels
from .params import LICParams, make_params
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
                pack(request.out, parts, len(groups), source, observer, params, command)
                tell_bytes_of_labels(request.reporter, request.out, parts, len(groups), observer)
        ranks.wait()
        return read_manifest(request.out)[0]


def identity(pool: ByClass, observer: Trained, params: LICParams) -> str:
    """Return a digest of what must be equal for groups of two runs to be exchangeable."""
    parts = [params.as_dict(), pool.digest(), observer.digest, __version__]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


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
        originals = torch.cat(
            [
                select(self._pool, label, self._classes[label], observer, params, self._device)
                for label in group
            ]
        )
        squeezed = geometry.squeeze(originals)
        done: list[Tensor] = []
        for start in range(0, len(squeezed), params.batch):
            part = slice(start, start + params.batch)
            inner = slice(start * geometry.cells, (start + params.batch) * geometry.cells)
            key = (group.start, start)
            done.append(
                compensate(squeezed[part], originals[inner], geometry, observer, params, key)
            )
        out = stored_images(torch.cat(done).cpu().numpy(), params)
        owners = np.repeat(np.arange(group.start, group.stop), params.ipc)
        if params.labels.kind == "index":
            return out | {"labels": owners.astype(np.int32)}
        # Labels are those of what a decoder gives back.
        mosaics = torch.from_numpy(out["images"]).to(self._device)
        logits = region_logits(mosaics, geometry, observer)
        own = torch.from_numpy(owners).to(logits.device)[:, None].expand(logits.shape[:2])
        cost = torch.nn.functional.cross_entropy(logits.flatten(0, 1), own.flatten())
        self.loss = float(cost)
        return out | store(logits, self._stored)


def select(
    pool: ByClass, label: int, name: str, observer: Trained, params: LICParams, device: torch.device
) -> Tensor:
    """Return the images of a class that the observer knows best (paper, section 2.1).

    They are N x IPC, the best first: uint8 (n, C, H, W) on ``device``. Raises SourceError where the
    class has too few images, naming it.
    """
    wanted, there = params.squeeze * params.ipc, pool.count(label)
    if there < wanted:
        raise SourceError(
            f"class '{name}' has {there} training images, {params.ipc} a class of "
            f"{params.squeeze} each need {wanted}; use a smaller `ipc` or `squeeze`"
        )
    count = min(there, params.candidates if params.selection != "random" else wanted)
    images = candidates(pool, label, count, params.seed, device)
    return ranked(images, label, observer, params.selection, params.seed)[:wanted]


def region_logits(mosaics: Tensor, geometry: Mosaic, observer: Trained) -> Tensor:
    """Return what the observer sees in each region of mosaics (paper, section 2.3).

    Logits float32 (B, regions, classes) of uint8 (B, C, H, W), each region as a decoder gives it.
    """
    return torch.stack(
        [observer.logits(geometry.region(mosaics, region)) for region in range(geometry.regions)],
        1,
    )
