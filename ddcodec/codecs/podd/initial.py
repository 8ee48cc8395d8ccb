"""What a distillation starts from: real images as tensors, and a first poster with labels."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ...distill.kernel import kernel_error
from ...distill.networks import ConvNet
from ...preprocessing.real import RealImages
from ...preprocessing.stored import Part, Stored
from ...preprocessing.transform import Preprocess
from ...runtime.rng import generator
from ...sources.base import Source
from ..shared.grid import cell_edges
from .given import Given, GivenImages
from .growing import reduced
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


Beginning = tuple[Given, dict[str, Any]]  # a file to begin from, and the space of the run


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


class ClassMeans:
    """Mean images of classes, each made once: it takes a pass over the images of its class."""

    def __init__(self, real: Real, classes: int) -> None:
        self._real, self._classes = real, classes
        self._means: dict[int, Tensor] = {}
        self._made: set[tuple[int, int]] = set()

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of a mean: (C, h, w)."""
        _, channels, height, width = self._real[0].shape
        return channels, height, width

    @property
    def images(self) -> int:
        """Images of all classes."""
        return len(self._real[1])

    def of(self, label: int, count: int) -> Tensor:
        """Return ``count`` means of a class, float32 (count, C, h, w) on the CPU.

        Mean i is that of every ``count``-th image from the i-th. Where a class has many images it
        is made of every k-th: large ones are preprocessed as they are read.
        """
        x, y = self._real
        if count not in self._means:
            # All in one block: a small one behind the images of each class would keep the C
            # library from using their place again, which came to 3 GB of 200 classes.
            self._means[count] = torch.empty(self._classes, count, *x.shape[1:])
        means = self._means[count][label]
        if (label, count) not in self._made:
            places = (y == label).nonzero()[:, 0]
            most = max(LEAST_OF_A_MEAN, MEANS_IMAGES // self._classes)
            places = places[:: -(-len(places) // most)]
            for i in range(count):
                means[i] = _mean(x, places[i % len(places) :: count]).cpu()
            self._made.add((label, count))
        return means


ByClassShown = ClassMeans | GivenImages


def initial_variables(
    plan: Plan,
    real: Real,
    device: torch.device,
    make: type[Variables] = PosterVariables,  # type: ignore[assignment]
    means: ClassMeans | None = None,
    given: Beginning | None = None,
    *,
    compared: bool = True,
) -> Variables:
    """Return the poster and labels that the optimisation starts from, as ``make`` holds them.

    Noise for the profile ``paper``, and real images where the plan says so. Else the better of two
    posters of class ``means``, each in the cell of its class or wherever a patch of the class lies:
    on which a kernel regression goes less wrong. Cells mostly win from one image a class on,
    patches below (docs/speed.md). Where they are not ``compared``, the one of cells. With a file
    that is ``given``, and its space, its poster, or such posters of its images.
    """
    geometry, order, n = plan.geometry, plan.order, len(plan.classes)
    channels, height, width = real[0].shape[1:]
    g = generator(plan.seed, "poster")
    noise = torch.randn((channels, *plan.size), generator=g)
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
    variables.coded_bytes = plan.coded_bytes
    if given is not None and given[0].begin(variables, plan, given[1]):
        return variables
    if plan.profile == "paper" and given is None:
        return variables
    if plan.start == "images":
        variables.poster.copy_(image_poster(geometry, variables.labels(), real, plan.seed))
        return variables
    shown = means or ClassMeans(real, n) if given is None else given[0].images(given[1])
    starts = [class_mean_poster(geometry, order, shown)]
    if compared:
        starts.append(patch_mean_poster(geometry, variables.labels(), shown))
    starts = [reduced(start, plan.size) for start in starts]
    if given is None:
        starts = [start + NOISE_ON_MEANS * noise for start in starts]
    variables.poster.copy_(starts[0])
    if compared:
        at_cells = start_error(plan, variables, real)
        variables.poster.copy_(starts[1])
        if at_cells <= start_error(plan, variables, real):
            variables.poster.copy_(starts[0])
    return variables


def start_error(plan: Plan, variables: PosterVariables, real: Real) -> float:
    """Return the error of kernel regressions from a poster to real images, of a few networks."""
    x, y = real
    patches, labels = variables.patches(), variables.labels()
    channels, height, width = x.shape[1:]
    net = ConvNet(channels, height, width, labels.shape[1], plan.depth, plan.width)
    total = 0.0
    for index in range(COMPARED):
        g = generator(plan.seed, "start", index)
        chosen = torch.randint(len(y), (COMPARED_IMAGES,), generator=g).to(x.device)
        flat = net.init(g, x.device)
        total += float(kernel_error(net, flat, patches, labels, x[chosen], y[chosen]))
    return total / COMPARED


def class_mean_poster(geometry: PosterGeometry, order: ClassOrder, means: ByClassShown) -> Tensor:
    """Return a poster (C, H, W) with each class's mean image resized into the class's cell.

    A cell as large as several patches gets as many means, side by side.
    """
    grid_x, grid_y = order.grid
    poster = torch.zeros(means.shape[0], geometry.height, geometry.width)
    tops, lefts = cell_edges(geometry.height, grid_y), cell_edges(geometry.width, grid_x)
    for cell, owner in enumerate(order.cells):
        row, column = divmod(cell, grid_x)
        top, bottom = tops[row], tops[row + 1]
        left, right = lefts[column], lefts[column + 1]
        down = max(1, round((bottom - top) / geometry.patch_h))
        across = max(1, round((right - left) / geometry.patch_w))
        rows = torch.split(means.of(owner, down * across), across)
        sheet = torch.cat([torch.cat(list(row), 2) for row in rows], 1)
        poster[:, top:bottom, left:right] = F.interpolate(
            sheet[None], (bottom - top, right - left), mode="bicubic", antialias=True
        )[0]
    return poster


def patch_mean_poster(geometry: PosterGeometry, labels: Tensor, means: ByClassShown) -> Tensor:
    """Return a poster (C, H, W) with a mean image, at its size, under every patch.

    It is that of the class with the largest share in the patch's label.
    """
    owners = labels.argmax(1).tolist()
    return _laid(geometry, means.shape[0], (means.of(owner, 1)[0] for owner in owners))


def image_poster(geometry: PosterGeometry, labels: Tensor, real: Real, seed: int) -> Tensor:
    """Return a poster (C, H, W) with a real image under every patch, drawn by ``seed``.

    It is of the class with the largest share in the patch's label. None is there twice unless a
    class has fewer images than patches.
    """
    x, y = real
    owners, places = labels.argmax(1).tolist(), y.cpu()
    drawn: dict[int, Iterator[int]] = {}
    for owner in sorted(set(owners)):
        own = (places == owner).nonzero()[:, 0]
        g = generator(seed, "start", "images", owner)
        drawn[owner] = itertools.cycle(own[torch.randperm(len(own), generator=g)].tolist())
    images = (x[torch.tensor([next(drawn[owner])], device=y.device)][0].cpu() for owner in owners)
    return _laid(geometry, x.shape[1], images)


def _laid(geometry: PosterGeometry, channels: int, images: Iterable[Tensor]) -> Tensor:
    """Return a poster (C, H, W) with an image (C, h, w) on the CPU under every patch, in order.

    Where patches overlap their images are averaged, those whose middle is near count most.
    """
    g = geometry
    poster = torch.zeros(channels, g.height, g.width)
    total = torch.zeros(g.height, g.width)
    down, across = (torch.hann_window(n + 2, False)[1:-1] for n in (g.patch_h, g.patch_w))
    window = down[:, None] * across
    for patch, image in enumerate(images):
        top, left = g.origins_y[patch % g.patches_y], g.origins_x[patch // g.patches_y]
        place = slice(top, top + g.patch_h), slice(left, left + g.patch_w)
        poster[:, *place] += window * image
        total[place] += window
    return poster / total.clamp_min(torch.finfo(torch.float32).tiny)


def _mean(x: RealImages, index: Tensor) -> Tensor:
    """Return the mean of the images at ``index``, float32 (C, h, w)."""
    parts = torch.split(index, max(1, MEANS_BYTES // (4 * math.prod(x.shape[1:]))))
    if len(parts) == 1:
        return x[index].double().mean(0).float()
    total = torch.stack([x[part].double().sum(0) for part in parts]).sum(0)
    return (total / len(index)).float()
