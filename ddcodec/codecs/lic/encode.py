"""LIC, squeezed images with compensation: select, squeeze, compensate, relabel, pack (paper,
algorithm 1).

Classes are made in groups, one after the other, and every finished group is kept beside the output
until the file is complete: an interrupted encode goes on with the first group that is missing.
Nothing in a group depends on another one, so memory is bounded by a group.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...errors import SourceError
from ...format import Manifest, read_manifest
from ...observers.file import Trained
from ...observers.file import load as load_observer
from ...runtime.device import has_bfloat16
from ...runtime.ranks import Ranks, joined
from ...sources.base import Source
from ...sources.split import ByClass
from ..base import Request
from ..shared.groups import Group, Parts, in_groups
from ..shared.labels import plan_labels, store
from ..shared.mosaic import Mosaic
from ..shared.selection import candidates, ranked
from .compensate import compensate
from .embedding import require_labels
from .in_bytes import encode_in_bytes
from .options import LIC
from .pack import pack, stored_images, tell_bytes_of_labels
from .params import LICParams, make_params


def encode(request: Request, options: LIC) -> Manifest:
    """Make mosaics and labels of every class and write the file; return its manifest.

    Of several processes each makes its groups, and the first writes the file.

    Raises UsageError, before any work, for what cannot work; KeyboardInterrupt with every finished
    group kept; CheckpointMismatch where the groups to go on from belong to another encode.
    """
    request.reporter.stage("reading images", 0)
    source, pool = request.source, request.source.by_class()
    precision = "bfloat16" if has_bfloat16(request.device) else "float32"
    if options.total_bytes is not None:
        with joined() as ranks:
            return encode_in_bytes(request, options, precision, ranks, write)
    assert options.observer is not None  # checked with the options
    observer = load_observer(options.observer)
    observer.require_fit(source.classes, pool.shape)
    params = make_params(options, pool.shape, len(source.classes), precision, request.seed)
    require_labels(observer, params)
    with joined() as ranks:
        write(request, observer, params, ranks)
        return read_manifest(request.out)[0]


def write(
    request: Request, observer: Trained, params: LICParams, ranks: Ranks, tell: bool = True
) -> None:
    """Make all groups, unless they are there, and the file of them; ``tell`` of its labels."""
    source, device = request.source, ranks.device(request.device)
    observer.network.to(device)
    parts = Parts(request.out, params.as_dict(), source.by_class().digest(), observer.digest)
    groups = in_groups(len(source.classes), params.group)
    with parts.shared(ranks, request.resume):
        mine = [number for number in range(len(groups)) if ranks.mine(number)]

        def make(number: int) -> tuple[Group, float]:
            return make_group(source, groups[number], observer, params, device)

        parts.make("mosaics", mine, make, request.reporter)
    if ranks.rank == 0:
        request.reporter.stage("packing", 0)
        with parts.finishing():
            pack(request, parts, len(groups), observer, params)
            if tell:
                tell_bytes_of_labels(request.reporter, request.out, parts, len(groups), observer)
    ranks.wait()


def make_group(
    source: Source, group: range, observer: Trained, params: LICParams, device: torch.device
) -> tuple[Group, float]:
    """Return ``images`` and the tensors of the labels of some classes, in their order.

    With the loss of the observer on their regions, 0 where labels are not soft.
    """
    pool, classes = source.by_class(), source.classes
    geometry = params.mosaic(*pool.shape[1:])
    originals = torch.cat(
        [select(pool, label, classes[label], observer, params, device) for label in group]
    )
    squeezed = geometry.squeeze(originals)
    done: list[Tensor] = []
    for start in range(0, len(squeezed), params.batch):
        part = slice(start, start + params.batch)
        inner = slice(start * geometry.cells, (start + params.batch) * geometry.cells)
        key = (group.start, start)
        done.append(compensate(squeezed[part], originals[inner], geometry, observer, params, key))
    out = stored_images(torch.cat(done).cpu().numpy(), params)
    owners = np.repeat(np.arange(group.start, group.stop), params.ipc)
    plan = params.labels
    if plan.kind == "index":
        return out | {"labels": owners.astype(np.int32)}, 0.0
    # Labels are those of what a decoder gives back.
    logits = region_logits(torch.from_numpy(out["images"]).to(device), geometry, observer)
    own = torch.from_numpy(owners).to(logits.device)[:, None].expand(logits.shape[:2])
    loss = float(F.cross_entropy(logits.flatten(0, 1), own.flatten()))
    if plan.kind == "teacher":
        # Labels stand beside a teacher until the file is complete, to be compared in bytes.
        plan = plan_labels("auto", len(classes), plan.temperature)
    return out | store(logits, plan), loss


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
    count = min(there, params.options.candidates if params.select != "random" else wanted)
    images = candidates(pool, label, count, params.seed, device)
    return ranked(images, label, observer, params.select, params.seed)[:wanted]


def region_logits(mosaics: Tensor, geometry: Mosaic, observer: Trained) -> Tensor:
    """Return what the observer sees in each region of mosaics (paper, section 2.3).

    Logits float32 (B, regions, classes) of uint8 (B, C, H, W), each region as a decoder gives it.
    """
    return torch.stack(
        [observer.logits(geometry.region(mosaics, region)) for region in range(geometry.regions)],
        1,
    )
