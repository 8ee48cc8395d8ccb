"""What a distillation starts from: real images as tensors, and a first poster with labels."""

from __future__ import annotations

import math
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ...preprocessing.real import RealImages
from ...preprocessing.transform import Preprocess
from ...runtime.rng import generator
from ...sources.base import Source
from ..shared.grid import cell_edges
from .labels import cell_owners, fixed_labels, initial_labels, label_floor, pooling_weights
from .order import ClassOrder
from .plan import Plan
from .poster import PosterGeometry
from .variables import PosterVariables

Variables = TypeVar("Variables", bound=PosterVariables)
NOISE_ON_MEANS = 0.1  # std of the noise added to class means, in units of preprocessed pixels
MEANS_BYTES = 1 << 27  # of images whose mean is taken at once, in float32

Real = tuple[RealImages, Tensor]  # float32 (N, C, H, W) when indexed, labels int64 (N,)


def real_tensors(source: Source, preprocessing: dict[str, Any], device: torch.device) -> Real:
    """Return all training images, preprocessed, and their labels."""
    preprocess = Preprocess(preprocessing, source.channels, source.height, source.width)
    images = RealImages(source.train.images, preprocess, device)
    return images, torch.from_numpy(source.train.labels).to(device)


def initial_variables(
    plan: Plan,
    real: Real,
    device: torch.device,
    make: type[Variables] = PosterVariables,  # type: ignore[assignment]
) -> Variables:
    """Return the poster and labels that the optimisation starts from, as ``make`` holds them."""
    geometry, order, n = plan.geometry, plan.order, len(plan.classes)
    channels, height, width = real[0].shape[1:]
    g = generator(plan.seed, "poster")
    noise = torch.randn((channels, geometry.height, geometry.width), generator=g)
    if plan.profile == "paper":
        # The scale of the published code: one image area has unit L2 norm, lr 1e-3 is tuned to it.
        poster = noise / (channels * height * width) ** 0.5
    else:
        poster = class_mean_poster(geometry, order, *real) + NOISE_ON_MEANS * noise
    if plan.label_kind == "fixed":
        return make(geometry, poster.to(device), fixed=fixed_labels(geometry, order, n))
    owners = cell_owners(order, plan.label_grid)
    return make(
        geometry,
        poster.to(device),
        label_array=initial_labels(owners, n),
        weights=pooling_weights(geometry, plan.label_grid, plan.label_pooling),
        owners=owners,
        label_floor=label_floor(n),
    )


def class_mean_poster(
    geometry: PosterGeometry, order: ClassOrder, x: RealImages, y: Tensor
) -> Tensor:
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
            sheets[owner, down, across] = mean_sheet(
                x, (y == owner).nonzero()[:, 0], down, across
            ).cpu()
        poster[:, top:bottom, left:right] = F.interpolate(
            sheets[owner, down, across],
            (bottom - top, right - left),
            mode="bicubic",
            antialias=True,
        )[0]
    return poster


def mean_sheet(x: RealImages, index: Tensor, down: int, across: int) -> Tensor:
    """Return ``down`` x ``across`` means of the images at ``index``, side by side: (1, C, H, W).

    Mean i is that of every k-th of them from the i-th, k being the number of means.
    """
    count = down * across
    means = [_mean(x, index[i % len(index) :: count]) for i in range(count)]
    rows = [torch.cat(means[i : i + across], 2) for i in range(0, count, across)]
    return torch.cat(rows, 1)[None]


def _mean(x: RealImages, index: Tensor) -> Tensor:
    """Return the mean of the images at ``index``, float32 (C, h, w)."""
    parts = torch.split(index, max(1, MEANS_BYTES // (4 * math.prod(x.shape[1:]))))
    if len(parts) == 1:
        return x[index].double().mean(0).float()
    total = torch.stack([x[part].double().sum(0) for part in parts]).sum(0)
    return (total / len(index)).float()
