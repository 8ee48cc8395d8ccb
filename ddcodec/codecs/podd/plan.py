"""From a request (source, budget, profile) to complete settings of an encode."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import torch

from ...distill.truncation import Truncation
from ...errors import UsageError
from ...format.preprocessing import MOST_SIDE
from ...runtime.device import activation_type
from ...runtime.ranks import world_size
from ...sources.base import Source
from ..base import Request
from ..options import Common, spelled
from .labels import label_floor
from .layout import (
    Pair,
    grid_with_room,
    grid_without_spare,
    label_grid_for,
    patch_grid_for,
    poster_for,
)
from .notes import label_notes
from .options import PoDD, PosterOptions
from .order import ClassOrder, order_classes
from .order import class_grid as default_class_grid
from .params import LabelKind, PoDDParams, Pooling, Stage
from .poster import PER_CLASS, PosterGeometry, most_patches
from .presets import PoDDPreset, preset_for
from .stored import StoredBits

QUICK_STEPS = 900  # of 8-pixel digits; a minute or two on one core
QUICK_LEAST_STEPS = 400  # of larger images, where the same time allows fewer
QUICK_STEP_PIXELS = 18 * 8 * 8  # of an inner batch of digits
QUICK_BATCH_PIXELS = 48 * 32 * 32  # an inner batch holds as many patches as fit
# Outer steps of the first stage. They are several times cheaper than unrolled ones, so they carry
# a run of few steps; on a held-out part of digits .3 was better than .6 and .1 at equal time. Of
# larger images they cost a tenth, and .7 was better than .4.
QUICK_KERNEL_SHARE = 0.3
QUICK_KERNEL_SHARE_FEW = 0.6
QUICK_KERNEL_SHARE_LARGE = 0.6
QUICK_FEW_STEPS = 300
QUICK_WINDOW = 20  # unrolled steps; 10 give less, 40 no more (docs/speed.md)
LIFETIME = 49  # inner steps after which a pool network is replaced, at the latest
LARGE_PIXELS = 16 * 16  # images from here on need longer, slower inner runs
# Rounding is seen by the end of the last stage only: earlier it sends the run elsewhere, and the
# rate of learning at the end is small enough to settle on the levels.
AWARE_SHARE = 0.25
MIRRORED = "images are mirrored as well; for writing, signs and the like give `augment`=none"
NATURAL_SIDE = 16  # pixels; smaller images are icons, and have too few frequencies to whiten

Settled = TypeVar("Settled", bound=PosterOptions)


@dataclass(frozen=True)
class Plan:
    """A complete encode: ``params`` decides the result, the rest follows from it and the source."""

    params: PoDDParams
    geometry: PosterGeometry
    order: ClassOrder
    classes: tuple[str, ...]
    recipe: dict[str, Any]
    command: Callable[[int], str]
    total_bytes: int | None = None  # of the whole file, at most
    notes: tuple[str, ...] = ()  # what is worth knowing before the work begins, one line each


def settled(options: Settled, device: torch.device) -> Settled:
    """Return options with what depends on the machine decided: profile, processes, precision."""
    profile = options.profile
    if profile == "auto":
        profile = "paper" if device.type == "cuda" else "quick"
    bytes_given = getattr(options, "total_bytes", None) is not None
    return replace(
        options,
        profile=profile,
        quality=options.quality or ("small" if bytes_given else "high"),
        meta_batches=options.meta_batches * world_size(),
    )


def make_plan(
    source: Source,
    ipc: float,
    options: PosterOptions,
    request: Request,
    ordered: Callable[[Pair], ClassOrder] | None = None,
) -> Plan:
    """Choose whatever ``settled`` options leave open; raise UsageError for what cannot work.

    ``ordered`` gives the class order on a class grid; by default it is made anew (``orders``).
    """
    seed, stored = request.seed, StoredBits.of(str(options.quality))
    total_bytes = getattr(options, "total_bytes", None)
    n, patch, rule = len(source.classes), (source.height, source.width), options.rule
    quick = options.profile == "quick"
    preset = preset_for(source.name, (n, *patch, source.channels))
    grid = _class_grid(options, preset, n, ipc, patch)
    poster = poster_for(ipc, n, patch, grid, rule, preset.poster_sizes)
    patch_grid = _patch_grid(options, preset, poster, patch, grid)
    class_order = (ordered or orders(source, options, seed))(grid)
    if options.class_grid not in (None, class_order.grid):
        raise UsageError(f"`class_grid`={grid[0]}x{grid[1]}: `order`=paper has a grid of its own")
    grid = class_order.grid
    geometry = PosterGeometry(*poster, *patch, *patch_grid, rule, grid)
    kind = _label_kind(options, preset, ipc)
    pooling = _pooling(options, kind, grid, patch_grid)
    stages = quick_stages(ipc, geometry) if quick else paper_stages(preset, geometry.num_patches)
    # Photographs are as likely mirrored: 3 points on held-out CIFAR-10 (docs/speed.md). The
    # published settings have an augmentation of their own.
    augment = (
        "flip" if options.augment == "auto" and quick and _is_natural(source) else options.augment
    )
    if augment != "auto":
        stages = tuple(replace(stage, augment=augment) for stage in stages)
    if stored.is_low or options.aware:
        share = AWARE_SHARE if options.aware is None else options.aware
        stages = (*stages[:-1], replace(stages[-1], aware=share))
    if options.truncation != "random":
        stages = tuple(
            replace(stage, truncation=cast(Truncation, options.truncation)) for stage in stages
        )
    params = PoDDParams(
        ipc=ipc,
        profile=options.profile,
        poster=poster,
        patch_grid=patch_grid,
        origins=rule,
        class_grid=grid,
        cells=class_order.cells,
        label_kind=kind,
        label_pooling=pooling,
        label_grid=label_grid_for(pooling, grid, patch_grid, ipc),
        label_floor=label_floor(n),
        stages=stages,
        depth=network_depth(*patch),
        width=64 if quick else 128,
        seed=seed,
        stored=stored,
        activations=_activations(options.precision, request.device, patch),
        preprocessing=_preprocessing(options.preprocessing, source),
        meta_batches=options.meta_batches,
        kernel_share=_kernel_share(geometry) if quick else 0.0,
    )
    if options.steps is not None:
        params = with_steps(params, options.steps)

    def command(done: int) -> str:
        values = {
            "ipc": f"{ipc:g}" if total_bytes is None else None,
            "total_bytes": total_bytes,
            "steps": done,
            "seed": seed,
            "profile": options.profile,
            "order": Path(options.order).name,
            "class_grid": options.class_grid,
            "labels": options.labels,
            "label_pooling": options.label_pooling,
            "origins": options.origins,
            "augment": options.augment,
            "patches": options.patches,
            "preprocessing": options.preprocessing,
            "quality": None if options.quality == "high" else options.quality,
            "aware": options.aware,
            "truncation": options.truncation,
            "meta_batches": options.meta_batches,
            "precision": options.precision,
            "size": request.size,
        }
        return shlex.join(["ddcodec", "encode", source.name, *spelled(values, PoDD, Common)])

    recipe = student_recipe(params, preset)
    notes = tuple(label_notes(params, geometry, class_order, source.classes))
    if options.augment != augment:
        notes += (MIRRORED,)
    return Plan(params, geometry, class_order, source.classes, recipe, command, total_bytes, notes)


def orders(source: Source, options: PosterOptions, seed: int) -> Callable[[Pair], ClassOrder]:
    """Return a function of a class grid (x, y) that gives the order on it, made once a grid.

    For ``--bytes``, which makes plans of many sizes: distances take seconds.
    """

    @cache
    def ordered(grid: Pair) -> ClassOrder:
        return order_classes(options.order, source, grid, seed=seed)

    return ordered


def quick_stages(ipc: float, geometry: PosterGeometry) -> tuple[Stage, ...]:
    """Return the two stages of the quick profile at their default length."""
    small = ipc < 0.7
    pixels = geometry.patch_h * geometry.patch_w
    batch = min(geometry.num_patches, max(1, QUICK_BATCH_PIXELS // pixels))
    # The length depends on sizes alone, never on a clock: the same call gives the same file.
    steps = round(QUICK_STEPS * min(1.0, QUICK_STEP_PIXELS / (batch * pixels)))
    steps = max(QUICK_LEAST_STEPS, steps)
    large = pixels >= LARGE_PIXELS
    # Where patches hardly share pixels, quick labels fit the inner runs, not the data.
    lr_labels = 0.01 if ipc < 0.95 and not large else 0.003
    kernel = Stage(
        method="kernel",
        steps=round(_kernel_share(geometry) * steps),
        lr_poster=0.06,
        lr_labels=lr_labels,
        cosine=True,
        window=0,
        total_steps=80 if large else LIFETIME,
        real_batch=256,
        distilled_batch=0 if batch == geometry.num_patches else batch,
        inner_lr=2e-3 if large else 5e-3,
        betas=(0.9, 0.99),
        augment="none",
    )
    unroll = replace(
        kernel,
        method="pool",
        steps=steps - kernel.steps,
        lr_poster=0.05 if small else 0.03,
        window=QUICK_WINDOW,
    )
    return kernel, unroll


def paper_stages(preset: PoDDPreset, num_patches: int) -> tuple[Stage, ...]:
    """Return RaT-BPTT with the published settings of a data set (paper section 5.1)."""
    return (
        Stage(
            method="rat",
            steps=preset.outer_steps,
            lr_poster=preset.lr,
            lr_labels=preset.lr,
            cosine=False,
            window=preset.window,
            total_steps=preset.total_steps,
            real_batch=preset.real_batch,
            distilled_batch=min(preset.distilled_batch, num_patches),
            inner_lr=1e-3,
            betas=(0.9, 0.999),
            augment="flip_rotate",
        ),
    )


def _kernel_share(geometry: PosterGeometry) -> float:
    large = geometry.patch_h * geometry.patch_w >= LARGE_PIXELS
    return QUICK_KERNEL_SHARE_LARGE if large else QUICK_KERNEL_SHARE


def with_steps(params: PoDDParams, steps: int) -> PoDDParams:
    """Return ``params`` with ``steps`` outer steps in all, shared out as in the default."""
    if len(params.stages) == 1:
        return replace(params, stages=(replace(params.stages[0], steps=steps),))
    kernel, unroll = params.stages
    share = params.kernel_share
    if steps < QUICK_FEW_STEPS:
        share = max(share, QUICK_KERNEL_SHARE_FEW)
    first = min(round(share * steps), steps - 1)
    return replace(
        params, stages=(replace(kernel, steps=first), replace(unroll, steps=steps - first))
    )


def student_recipe(params: PoDDParams, preset: PoDDPreset) -> dict[str, Any]:
    """Return how to train on the file: the inner loop's own settings, run to the end."""
    last = params.stages[-1]
    quick = params.profile == "quick"
    return {
        "network": {
            "name": "convnet",
            "depth": params.depth,
            "width": params.width,
            "norm": "instance",
        },
        "optimizer": {"name": "adam", "lr": last.inner_lr},
        "steps": 100 if quick else preset.student_steps,
        "batch_size": last.distilled_batch or params.patch_grid[0] * params.patch_grid[1],
        "augment": last.augment,
        "loss": "soft_cross_entropy",
    }


def network_depth(height: int, width: int) -> int:
    """Return the blocks of the ConvNet: 3 for 32 px, 4 for 64 px (paper section 5.1).

    Small images get fewer: features of 2x2 or more are left, or the head sees too little.
    """
    side = min(height, width)
    return 4 if side >= 48 else 3 if side >= 16 else 2 if side >= 8 else 1


def _activations(asked: str, device: torch.device, patch: Pair) -> Literal["float32", "bfloat16"]:
    half = asked == "bfloat16" if asked != "auto" else activation_type(device, *patch) is not None
    return "bfloat16" if half else "float32"


def _preprocessing(kind: str, source: Source) -> str:
    if kind != "auto":
        return kind
    # Whitening pays on natural images and costs on digits (docs/coding.md).
    fits = max(source.height, source.width) <= MOST_SIDE
    return "conv_whiten" if _is_natural(source) and fits else "standardise"


def _is_natural(source: Source) -> bool:
    """Say whether images are taken for photographs: grey ones are often writing."""
    return source.channels == 3 and min(source.height, source.width) >= NATURAL_SIDE


def _class_grid(
    options: PosterOptions, preset: PoDDPreset, classes: int, ipc: float, patch: Pair
) -> Pair:
    if options.class_grid is not None:
        return options.class_grid
    grid = preset.class_grid or default_class_grid(classes)
    if options.rule == PER_CLASS:
        grid = grid_without_spare(grid, classes)
    if options.profile == "quick" and options.order != "paper":
        grid = grid_with_room(grid, classes, ipc, patch)
    return grid


def _patch_grid(
    options: PosterOptions, preset: PoDDPreset, poster: Pair, patch: Pair, grid: Pair
) -> Pair:
    rule = options.rule
    most = most_patches(poster, patch)
    found = options.patches or patch_grid_for(preset, options.profile, poster, patch, grid, rule)
    if found[0] > most[0] or found[1] > most[1]:
        raise UsageError(
            f"--patches {found[0]}x{found[1]}: a poster of {poster[1]}x{poster[0]} has "
            f"at most {most[0]}x{most[1]} different patches of {patch[1]}x{patch[0]}"
        )
    return found


def _label_kind(options: PosterOptions, preset: PoDDPreset, ipc: float) -> LabelKind:
    if options.labels != "auto":
        return cast(LabelKind, options.labels)
    return "learned" if options.profile == "quick" else preset.labels(ipc)


def _pooling(options: PosterOptions, kind: LabelKind, grid: Pair, patches: Pair) -> Pooling:
    if kind == "fixed":
        return "majority"
    if options.label_pooling != "auto":
        return cast(Pooling, options.label_pooling)
    # With fewer patches than cells along an axis, one cell a patch would leave classes without.
    # Else it is best by far (docs/ablation.md), and nearly what the published code does.
    return "cell" if patches[0] >= grid[0] and patches[1] >= grid[1] else "area"
