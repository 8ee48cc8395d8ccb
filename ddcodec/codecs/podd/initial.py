"""What a distillation starts from: real images as tensors, and a first poster with labels."""

from __future__ import annotations

import math
from typing import Any, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ...distill.kernel import kernel_gradient
from ...distill.networks import ConvNet
from ...preprocessing.real import RealImages
from ...preprocessing.stored import Part, Stored
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
COMPARED, COMPARED_IMAGES = 2, 256  # networks, and real images, by which two starts are compared
NOISE_ON_MEANS = 0.1  # std of the noise added to class means, in units of preprocessed pixels
MEANS_IMAGES = 60_000  # from which all means are taken
LEAST_OF_A_MEAN = 20  # images, if a class has them
MEANS_BYTES = 1 << 27  # of images whose mean is taken at once, in float32

Real = tuple[RealImages, Tensor]  # float32 (N, C, H, W) when indexed, labels int64 (N,)


def real_tensors(
    source: Source,
    preprocessing: dict[str, Any],
    device: torch.device,
    chosen: NDArray[np.int64] | None = None,
) -> Real:
    """Return training images, preprocessed, and their labels.

    ``chosen`` are their places in the training split, in order; None are all.
    """
    images: Stored = source.train.images
    labels = source.train.labels
    if chosen is not None and len(chosen) < len(labels):
        images, labels = Part(images, chosen), labels[chosen]
    preprocess = Preprocess(preprocessing, source.channels, source.height, source.width)
    return RealImages(images, preprocess, device), torch.from_numpy(labels).to(device)


def initial_variables(
    plan: Plan,
    real: Real,
    device: torch.device,
    make: type[Variables] = PosterVariables,  # type: ignore[assignment]
    *,
    compared: bool = True,
) -> Variables:
    """Return the poster and labels that the optimisation starts from, as ``make`` holds them.

    Noise for the profile ``paper``. Else the better of two posters of class means, each in the
    cell of its class or wherever a patch of the class lies: on which a kernel regression goes
    less wrong. Cells mostly win from one image a class on, patches below (docs/speed.md). Where
    they are not ``compared``, the one of cells.
    """
    geometry, order, n = plan.geometry, plan.order, len(plan.classes)
    channels, height, width = real[0].shape[1:]
    g = generator(plan.seed, "poster")
    noise = torch.randn((channels, geometry.height, geometry.width), generator=g)
    # The scale of the published code: one image area has unit L2 norm, lr 1e-3 is tuned to it.
    poster = noise / (channels * height * width) ** 0.5
    if plan.label_kind == "fixed":
        fixed = fixed_labels(geometry, order, n)
        variables = make(geometry, poster.to(device), fixed=fixed)
    else:
        owners = cell_owners(order, plan.label_grid)
        variables = make(
            geometry,
            poster.to(device),
            label_array=initial_labels(owners, n),
            weights=pooling_weights(geometry, plan.label_grid, plan.label_pooling),
            owners=owners,
            label_floor=label_floor(n),
        )
    if plan.profile == "paper":
        return variables
    if not compared:
        variables.poster.copy_(class_mean_poster(geometry, order, *real) + NOISE_ON_MEANS * noise)
        return variables
    labels = variables.labels()
    errors = []
    posters = class_mean_poster(geometry, order, *real), patch_mean_poster(geometry, labels, *real)
    for means in posters:
        variables.poster.copy_(means + NOISE_ON_MEANS * noise)
        errors.append(kernel_error(plan, variables.patches(), labels, real))
    if errors[0] <= errors[1]:
        variables.poster.copy_(posters[0] + NOISE_ON_MEANS * noise)
    return variables


def kernel_error(plan: Plan, patches: Tensor, labels: Tensor, real: Real) -> float:
    """Return the error of kernel regressions from patches to real images, of a few networks."""
    x, y = real
    channels, height, width = x.shape[1:]
    net = ConvNet(channels, height, width, labels.shape[1], plan.depth, plan.width)
    total = 0.0
    for index in range(COMPARED):
        g = generator(plan.seed, "start", index)
        chosen = torch.randint(len(y), (COMPARED_IMAGES,), generator=g).to(x.device)
        flat = net.init(g, x.device)
        total += float(kernel_gradient(net, flat, patches, labels, x[chosen], y[chosen])[0])
    return total / COMPARED


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
                x, places_of(y, owner, len(set(order.cells))), down, across
            ).cpu()
        poster[:, top:bottom, left:right] = F.interpolate(
            sheets[owner, down, across],
            (bottom - top, right - left),
            mode="bicubic",
            antialias=True,
        )[0]
    return poster


def patch_mean_poster(geometry: PosterGeometry, labels: Tensor, x: RealImages, y: Tensor) -> Tensor:
    """Return a poster (C, H, W) with a mean image, at its size, under every patch.

    It is that of the class with the largest share in the patch's label. Where patches overlap
    their images are averaged, those whose middle is near count most.
    """
    g = geometry
    poster = torch.zeros(x.shape[1], g.height, g.width)
    total = torch.zeros(g.height, g.width)
    down, across = (torch.hann_window(n + 2, False)[1:-1] for n in (g.patch_h, g.patch_w))
    window = down[:, None] * across
    owners = labels.argmax(1).tolist()
    means = {c: _mean(x, places_of(y, c, labels.shape[1])).cpu() for c in set(owners)}
    for patch, owner in enumerate(owners):
        top, left = g.origins_y[patch % g.patches_y], g.origins_x[patch // g.patches_y]
        place = slice(top, top + g.patch_h), slice(left, left + g.patch_w)
        poster[:, *place] += window * means[owner]
        total[place] += window
    return poster / total.clamp_min(torch.finfo(torch.float32).tiny)


def places_of(y: Tensor, label: int, classes: int) -> Tensor:
    """Return where images of a class lie for a mean, int64 (n,), n > 0.

    They are every k-th of the class where it has many: large images are made as they are read.
    """
    places = (y == label).nonzero()[:, 0]
    most = max(LEAST_OF_A_MEAN, MEANS_IMAGES // classes)
    return places[:: -(-len(places) // most)]


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
