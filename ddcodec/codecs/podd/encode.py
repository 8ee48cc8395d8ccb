"""PoDD encoder: load -> order -> labels -> distil -> quantise -> pack."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ... import __version__
from ...errors import OutputError
from ...format import Manifest, read_manifest
from ...preprocessing.transform import Preprocess, fit
from ...runtime import checkpoint
from ...runtime.rng import generator
from ...sources.base import Source
from ..shared.grid import cell_edges
from .labels import cell_owners, fixed_labels, initial_labels
from .order import ClassOrder
from .outer_loop import Distiller, Run
from .pack import pack
from .params import PoDDParams
from .plan import Plan, with_steps
from .pooling import pooling_weights
from .poster import PosterGeometry
from .variables import PosterVariables

Variables = TypeVar("Variables", bound=PosterVariables)
NOISE_ON_MEANS = 0.1  # std of the noise added to class means, in units of preprocessed pixels


def encode(
    source: Source,
    plan: Plan,
    run: Run,
    out: Path,
    *,
    seconds: float | None = None,
    lease: float | None = None,
) -> Manifest:
    """Distil ``source`` as ``plan`` says and write the file at ``out``; return its manifest.

    ``seconds`` bounds the optimisation: the number of steps that fits is measured first and then
    fixed, so that the same file can be made again with ``--steps``. ``lease`` leaves the number of
    steps as it is and bounds this call: where the run takes longer, the file holds what was reached
    and the checkpoint stays, to go on from.
    """
    preprocessing = dict(fit(source.train.images, plan.params.preprocessing))
    real = real_tensors(source, preprocessing, run.device)
    variables: PosterVariables = initial_variables(plan, real, run.device)
    run.checkpoint = out.with_name(out.name + ".checkpoint")
    params = plan.params
    fingerprint = fingerprint_of(source, params.as_dict(), seconds)
    if seconds is not None:
        params = fit_steps(params, variables, real, run, fingerprint, seconds)
    if lease is not None:
        run.deadline = time.monotonic() + lease
    distiller = Distiller(params, variables, real, run, fingerprint)
    steps = distiller.distil()
    if run.ranks.rank > 0:
        run.ranks.wait()
        return read_manifest(out)[0]
    unfinished = steps < params.steps
    if unfinished:
        distiller.keep()
    try:
        manifest = pack(source, plan, params, variables, preprocessing, steps, out)
    except OutputError as error:
        with contextlib.suppress(OutputError):
            distiller.keep()
        if not run.checkpoint.exists():
            raise
        raise OutputError(
            f"{error}; {run.checkpoint.name} keeps the work, run the same command with --resume"
        ) from None
    if unfinished:
        run.reporter.note(
            f"{steps:,} of {params.steps:,} steps are done and in {out.name}; go on with the same "
            "command and --resume"
        )
    else:
        run.checkpoint.unlink(missing_ok=True)
    run.ranks.wait()
    return manifest


def fingerprint_of(source: Source, settings: dict[str, Any], seconds: float | None) -> str:
    """Return a digest of all that decides an encode: checkpoints of another one are refused."""
    if seconds is not None:
        settings = settings | {"stages": {"seconds": seconds}}
    identity = {"params": settings, "source": source.digest(), "version": __version__}
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def real_tensors(
    source: Source, preprocessing: dict[str, Any], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return all training images float32 (N, C, H, W), preprocessed, and labels int64 (N,)."""
    x = Preprocess(preprocessing, source.channels, source.height, source.width)(source.train.images)
    return x.to(device), torch.from_numpy(source.train.labels).to(device)


def initial_variables(
    plan: Plan,
    real: tuple[Tensor, Tensor],
    device: torch.device,
    make: type[Variables] = PosterVariables,  # type: ignore[assignment]
) -> Variables:
    """Return the poster and labels that the optimisation starts from, as ``make`` holds them."""
    params, geometry, order = plan.params, plan.geometry, plan.order
    channels, height, width = real[0].shape[1:]
    g = generator(params.seed, "poster")
    noise = torch.randn((channels, geometry.height, geometry.width), generator=g)
    if params.init == "noise":
        # The scale of the published code: one image area has unit L2 norm, lr 1e-3 is tuned to it.
        poster = noise / (channels * height * width) ** 0.5
    else:
        poster = class_mean_poster(geometry, order, *real) + NOISE_ON_MEANS * noise
    n = len(plan.classes)
    if params.label_kind == "fixed":
        return make(geometry, poster.to(device), fixed=fixed_labels(geometry, order, n))
    owners = cell_owners(order, params.label_grid)
    return make(
        geometry,
        poster.to(device),
        label_array=initial_labels(owners, n),
        weights=pooling_weights(geometry, params.label_grid, params.label_pooling),
        owners=owners,
        label_floor=params.label_floor,
    )


def class_mean_poster(geometry: PosterGeometry, order: ClassOrder, x: Tensor, y: Tensor) -> Tensor:
    """Return a poster (C, H, W) with each class's mean image resized into the class's cell.

    A cell as large as several patches gets as many means, each of its own part of the images.
    """
    grid_x, grid_y = order.grid
    poster = torch.zeros(x.shape[1], geometry.height, geometry.width)
    tops, lefts = cell_edges(geometry.height, grid_y), cell_edges(geometry.width, grid_x)
    sheets: dict[tuple[int, int, int], Tensor] = {}
    for cell, owner in enumerate(order.cells):
        row, column = divmod(cell, grid_x)
        top, bottom = tops[row], tops[row + 1]
        left, right = lefts[column], lefts[column + 1]
        down = max(1, round((bottom - top) / geometry.patch_h))
        across = max(1, round((right - left) / geometry.patch_w))
        if (owner, down, across) not in sheets:
            sheets[owner, down, across] = mean_sheet(x[y == owner], down, across).cpu()
        poster[:, top:bottom, left:right] = F.interpolate(
            sheets[owner, down, across],
            (bottom - top, right - left),
            mode="bicubic",
            antialias=True,
        )[0]
    return poster


def mean_sheet(x: Tensor, down: int, across: int) -> Tensor:
    """Return ``down`` x ``across`` means of images (N, C, h, w), side by side: (1, C, H, W).

    Mean i is that of every k-th image from the i-th, k being the number of means.
    """
    count = down * across
    means = [x[i % len(x) :: count].double().mean(0).float() for i in range(count)]
    rows = [torch.cat(means[i : i + across], 2) for i in range(0, count, across)]
    return torch.cat(rows, 1)[None]


def fit_steps(
    params: PoDDParams,
    variables: PosterVariables,
    real: tuple[Tensor, Tensor],
    run: Run,
    fingerprint: str,
    seconds: float,
) -> PoDDParams:
    """Return ``params`` with as many steps as fit into ``seconds``."""
    assert run.checkpoint is not None
    if run.resume and run.checkpoint.exists():
        _, meta = checkpoint.load(run.checkpoint, fingerprint)
        return with_steps(params, sum(meta["steps"]))
    start = time.monotonic()
    if any(stage.method == "rat" for stage in params.stages):
        # Rates are constant there, so the run may simply stop when the time is over.
        run.deadline, run.open_end = start + seconds, True
        return params
    timing = Distiller(params, variables, real, replace(run, checkpoint=None), fingerprint)
    cost = {stage.method: timing.seconds_per_step(stage.method) for stage in params.stages}
    left = seconds - (time.monotonic() - start)

    def fits(steps: int) -> bool:
        stages = with_steps(params, steps).stages
        return sum(stage.steps * cost[stage.method] for stage in stages) <= left

    low = len(params.stages)
    high = 2 * low
    while fits(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return with_steps(params, run.ranks.first(low))
