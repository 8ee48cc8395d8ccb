"""Published posters: where their patches and classes lie, which their files do not say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..codecs.podd.decode import PosterSamples
from ..codecs.podd.labels import fixed_labels
from ..codecs.podd.layout import most_patches
from ..codecs.podd.order import ClassOrder, class_grid, order_classes
from ..codecs.podd.poster import PosterGeometry, origins
from ..codecs.podd.presets import PRESETS
from ..errors import UsageError

if TYPE_CHECKING:
    from ..sources.base import Source

Floats = NDArray[np.float32]


def layout_of(
    poster: Floats,
    classes: int,
    patch: tuple[int, int],
    patches: tuple[int, int] | None,
    order: str | None,
    source: Source | None,
) -> tuple[PosterGeometry, ClassOrder]:
    """Return patches and class order of a poster float32 (C, H, W).

    Args:
        classes: of the data set.
        patch: (height, width) of a patch.
        patches: along x and y; by default those of the paper for a data set of this kind.
        order: where which class is, a rule of ``order_classes``; None for that of the names.
        source: the real images, which all rules but ``given`` need.

    Raises UsageError where they do not fit.
    """
    channels, height, width = poster.shape
    if height < patch[0] or width < patch[1]:
        raise UsageError(
            f"a poster of {width}x{height} holds no patch of {patch[1]}x{patch[0]}; say `side`"
        )
    shape = (classes, *patch, channels)
    preset = next((each for each in PRESETS.values() if each.shape == shape), None)
    grid = preset.class_grid if preset and preset.class_grid else class_grid(classes)
    known = preset.patch_grid if preset and preset.patch_grid else None
    asked = patches or known
    if asked is None:
        raise UsageError("how many patches the poster has is not known; say `patches`, as in 16x6")
    most = most_patches((height, width), patch)
    if asked[0] > most[0] or asked[1] > most[1]:
        raise UsageError(f"`patches`={asked[0]}x{asked[1]}: it has room for {most[0]}x{most[1]}")
    geometry = PosterGeometry(height, width, *patch, *asked)
    if order in (None, "given"):
        numbers = [index % classes for index in range(grid[0] * grid[1])]
        return geometry, ClassOrder(grid, tuple(numbers), "given")
    if source is None:
        raise UsageError(f"`order`={order} needs the real images; name them with `source`")
    return geometry, order_classes(order, source, grid)


def fields_of(geometry: PosterGeometry, order: ClassOrder) -> dict[str, Any]:
    """Return ``patches`` and ``order`` of a manifest."""
    return {
        "patches": {
            "grid": [geometry.patches_x, geometry.patches_y],
            "size": [geometry.patch_h, geometry.patch_w],
            "origins": geometry.rule,
        },
        "order": {"grid": list(order.grid), "cells": list(order.cells), "rule": order.rule},
    }


def labels_by_patch(cells: Floats, geometry: PosterGeometry) -> Floats:
    """Return a label for each patch, float32 (p_y, p_x, classes), as the public code crops them.

    Its window is a patch in cells, at least one of them, placed like the patches; the labels in it
    are averaged. So the file's patches have the labels that the authors' had.
    """
    rows, columns, classes = cells.shape
    high = max(1, geometry.patch_h * rows // geometry.height)
    wide = max(1, geometry.patch_w * columns // geometry.width)
    found = np.zeros((geometry.patches_y, geometry.patches_x, classes), np.float32)
    for j, y in enumerate(origins(rows, high, geometry.patches_y)):
        for i, x in enumerate(origins(columns, wide, geometry.patches_x)):
            found[j, i] = cells[y : y + high, x : x + wide].mean((0, 1))
    return found


def samples_of(
    poster: Floats, cells: Floats | None, geometry: PosterGeometry, order: ClassOrder, classes: int
) -> tuple[Floats, Floats]:
    """Return all patches float32 (N, C, h, w) and their labels (N, classes)."""
    import torch

    if cells is None:
        labels = fixed_labels(geometry, order, classes)
    else:
        flat = cells.transpose(1, 0, 2).reshape(-1, classes)  # x outer, as patches are counted
        labels = (flat / np.maximum(flat.sum(1, keepdims=True), 1e-12)).astype(np.float32)
    samples = PosterSamples.from_poster(torch.from_numpy(poster), geometry, labels)
    return samples.gather(torch.arange(len(labels))).numpy(), labels


def from_patches(patches: Floats, geometry: PosterGeometry, old: Floats) -> Floats:
    """Return the poster whose patches are nearest to ``patches``: their mean where they overlap.

    Pixels in no patch stay those of ``old``.
    """
    channels = patches.shape[1]
    total = np.zeros((channels, geometry.height, geometry.width))
    count = np.zeros((geometry.height, geometry.width))
    h, w = geometry.patch_h, geometry.patch_w
    places = [(y, x) for x in geometry.origins_x for y in geometry.origins_y]
    for patch, (y, x) in zip(patches, places, strict=True):
        total[:, y : y + h, x : x + w] += patch
        count[y : y + h, x : x + w] += 1
    mixed: Any = np.where(count > 0, total / np.maximum(count, 1), old)
    return np.asarray(mixed, np.float32)
