"""From a request (source, budget, profile) to complete settings of an encode."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import torch

from ...errors import UsageError
from ...format.rules import MOST_SIDE
from ...nn.augment import AUGMENTATIONS
from ...preprocessing.whiten import has_contrast
from ...runtime.device import activation_type
from ...runtime.ranks import world_size
from ...sources.base import Source
from ..base import Request
from ..options import Pair
from .frequencies import IMAGES_RATE, RATE
from .labels import label_notes
from .layout import (
    grid_with_room,
    grid_without_spare,
    images_shown,
    label_grid_for,
    most_patches,
    patch_grid_for,
    poster_for,
    side_by_side,
    stored_size,
)
from .options import PosterOptions
from .order import ClassOrder, order_classes
from .order import class_grid as default_class_grid
from .plan import LabelKind, Plan, Pooling, Stage
from .poster import PER_CLASS, PosterGeometry
from .presets import (
    QUICK_WIDTH,
    PoDDPreset,
    network_depth,
    paper_stages,
    preset_for,
    quick_stages,
    with_steps,
)
from .stored import StoredBits

# Rounding is seen by the end of the last stage only: earlier it sends the run elsewhere, and the
# rate of learning at the end is small enough to settle on the levels.
AWARE_SHARE = 0.25
MANY = 64  # images per class; fewer do no harm where the source has fewer still
MIRRORED = "images are mirrored as well; for writing, signs and the like give `augment`=none"
SHOWN = (
    "the poster begins as training images, which stay recognisable in the file; `start`=means "
    "begins with means of many"
)
NATURAL_SIDE = 16  # pixels; smaller images are icons, and have too few frequencies to whiten

# Options in the order in which a file's command has them.
RECORDED = (
    "ipc", "total_bytes", "transform", "start", "expand", "steps", "seed", "profile", "order",
    "class_grid", "labels", "label_pooling", "origins", "augment", "patches", "preprocessing",
    "quality", "aware", "truncation", "kernel_steps", "window", "width", "threads", "meta_batches",
    "precision", "size", "test_share", "init",
)  # fmt: skip

Settled = TypeVar("Settled", bound=PosterOptions)


def settled(options: Settled, device: torch.device) -> Settled:
    """Return options with what depends on the machine decided: profile, processes, precision."""
    best = "paper" if device.type == "cuda" and not options.is_quick else "quick"
    options = replace(
        options,
        profile=best if options.profile == "auto" else options.profile,
        meta_batches=options.meta_batches * world_size(),
    )
    if options.quality is not None:  # bits of pixels
        return options.as_pixels()
    return replace(options, quality=options.usual_quality)


def require_less(source: Source, ipc: float) -> None:
    """Raise UsageError for a budget of many images per class, and more than there are."""
    there = len(source.train) / len(source.classes)
    if ipc > max(there, MANY):
        raise UsageError(f"`ipc`={ipc:g}: the source itself has {there:g} images per class")


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
    stored = StoredBits.of(str(options.quality))
    n, patch, rule = len(source.classes), (source.height, source.width), options.rule
    quick = options.profile == "quick"
    preset = preset_for(source.name, (n, *patch, source.channels))
    expand = options.expansion
    shown = images_shown(ipc, expand)  # what patches are cut from; all but pixels follow from it
    grid = _class_grid(options, preset, n, ipc, patch)
    if options.of_images:
        poster, patch_grid = side_by_side(ipc, n, patch, grid)
    else:
        poster = poster_for(ipc, n, patch, grid, rule, preset.poster_sizes, expand)
        patch_grid = _patch_grid(options, preset, (source.channels, *poster), patch, grid)
    order = (ordered or orders(source, options, request.seed))(grid)
    if options.class_grid not in (None, order.grid):
        raise UsageError(f"`class_grid`={grid[0]}x{grid[1]}: `order`=paper has a grid of its own")
    grid = order.grid
    geometry = PosterGeometry(*poster, *patch, *patch_grid, rule, grid)
    kind = _label_kind(options, preset, shown)
    pooling = _pooling(options, kind, grid, patch_grid)
    stages = (
        quick_stages(shown, geometry, options.window, options.width)
        if quick
        else paper_stages(preset, geometry.num_patches)
    )
    # Photographs are as likely mirrored: 3 points on held-out CIFAR-10 (docs/speed.md). The
    # published settings have an augmentation of their own.
    augment = (
        "flip" if options.augment == "auto" and quick and is_natural(source) else options.augment
    )
    if augment not in ("auto", *AUGMENTATIONS):
        names = ", ".join(AUGMENTATIONS)
        raise UsageError(f"`augment` must be one of auto, {names}, got {augment!r}")
    if augment != "auto":
        stages = _with(stages, augment=augment)
    if options.truncation != "random":
        stages = _with(stages, truncation=options.truncation)
    if options.threads is not None:
        stages = _with(stages, threads=options.threads)
    if stored.is_low or options.coded or options.aware:
        share = AWARE_SHARE if options.aware is None else options.aware
        stages = (*stages[:-1], replace(stages[-1], aware=share))
    plan = Plan(
        ipc=ipc,
        profile=options.profile,
        seed=request.seed,
        classes=source.classes,
        geometry=geometry,
        size=stored_size(poster, expand),
        order=order,
        label_kind=kind,
        label_pooling=pooling,
        label_grid=label_grid_for(pooling, options.profile, grid, patch_grid, shown),
        stages=stages,
        depth=network_depth(*patch),
        width=QUICK_WIDTH if quick else 128,
        stored=stored,
        preprocessing=_preprocessing(options.preprocessing, source),
        meta_batches=options.meta_batches,
        activations=_activations(options.precision, request.device, patch),
        student_steps=100 if quick else preset.student_steps,
        source=source.name,
        recorded=recorded(ipc, options, request),
        coded_bytes=_coded_bytes(options, source, poster),
        start="images" if options.of_images else "means",
    )
    notes = label_notes(plan) + ([MIRRORED] if options.augment != augment else [])
    notes += [SHOWN] if options.of_images else []
    plan = replace(plan, notes=tuple(notes))
    if options.steps is None:
        return plan
    return with_steps(plan, options.steps, options.kernel_steps)


def _coded_bytes(options: PosterOptions, source: Source, poster: Pair) -> int | None:
    if not options.coded:
        return None
    rate = IMAGES_RATE if options.of_images else RATE
    return round(rate * source.channels * math.prod(poster) / 8)


def _with(stages: tuple[Stage, ...], **settings: Any) -> tuple[Stage, ...]:
    return tuple(replace(stage, **settings) for stage in stages)


def recorded(ipc: float, options: PosterOptions, request: Request) -> dict[str, Any]:
    """Return the options in the command of a file, but for the number of steps."""
    values: dict[str, Any] = {name: getattr(options, name, None) for name in RECORDED}
    usual = ("auto",) if values["total_bytes"] else ("auto", "none")
    usual_start = ("auto",) if values["total_bytes"] else ("auto", "means")
    return values | {
        "ipc": None if values["total_bytes"] else f"{ipc:g}",
        # In few bytes it is what is not asked for (``budget``).
        "expand": None if values["expand"] == 1 and not values["total_bytes"] else values["expand"],
        "transform": None if values["transform"] in usual else values["transform"],
        "start": None if values["start"] in usual_start else values["start"],
        "seed": request.seed,
        "order": Path(options.order).name,
        "quality": None if options.quality == options.usual_quality else options.quality,
        **request.source.asked,
    }


def orders(source: Source, options: PosterOptions, seed: int) -> Callable[[Pair], ClassOrder]:
    """Return a function of a class grid (x, y) that gives the order on it, made once a grid.

    For ``total_bytes``, where plans of many sizes are made: distances take seconds.
    """

    @cache
    def ordered(grid: Pair) -> ClassOrder:
        return order_classes(options.order, source, grid, seed=seed)

    return ordered


def _activations(asked: str, device: torch.device, patch: Pair) -> Literal["float32", "bfloat16"]:
    half = asked == "bfloat16" if asked != "auto" else activation_type(device, *patch) is not None
    return "bfloat16" if half else "float32"


def _preprocessing(kind: str, source: Source) -> str:
    if kind != "auto":
        return kind
    # Whitening pays on natural images and costs on digits (docs/coding.md).
    fits = max(source.height, source.width) <= MOST_SIDE
    whitens = is_natural(source) and fits and has_contrast(source.train.images)
    return "conv_whiten" if whitens else "standardise"


def is_natural(source: Source) -> bool:
    """Say whether images are taken for photographs: grey ones are often writing."""
    return source.channels == 3 and min(source.height, source.width) >= NATURAL_SIDE


def _class_grid(
    options: PosterOptions, preset: PoDDPreset, classes: int, ipc: float, patch: Pair
) -> Pair:
    if options.class_grid is not None:
        return options.class_grid
    grid = preset.class_grid or default_class_grid(classes)
    if options.rule == PER_CLASS or options.of_images:
        grid = grid_without_spare(grid, classes)
    if options.profile == "quick" and options.order != "paper" and not options.of_images:
        grid = grid_with_room(grid, classes, ipc, patch, options.expansion)
    return grid


def _patch_grid(
    options: PosterOptions,
    preset: PoDDPreset,
    poster: tuple[int, int, int],
    patch: Pair,
    grid: Pair,
) -> Pair:
    rule, (_, height, width) = options.rule, poster
    most = most_patches((height, width), patch)
    found = options.patches or patch_grid_for(
        preset, options.profile, poster, patch, grid, rule, options.expansion
    )
    if found[0] > most[0] or found[1] > most[1]:
        raise UsageError(
            f"`patches`={found[0]}x{found[1]}: a poster of {width}x{height} has "
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
