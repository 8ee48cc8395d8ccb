"""The network inside of a file, in integers: every machine computes the same labels from it.

Weights are 8-bit integers, what flows between layers 16-bit ones. All sums are integers below 2^53
in binary64, exact in whatever order a library adds, and each becomes an integer again by one
product, one sum and one rounding (specification, section 8.3.1).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ...preprocessing.transform import Preprocess
from ...runtime.world import neutral
from ..shared.labels import OCTAVE
from ..shared.rules import NOTHING
from .affine import rows_of
from .integer_network import RESIDUAL, Network, Pooling, Unit, costs, network_of, units

LIMITS = {"relu": (0, 65535), "signed": (-32768, 32767)}  # of the integers between layers
LARGEST = {end: most for end, (_, most) in LIMITS.items()}
LN2 = 0.6931471805599453
HELD_BYTES = 256 << 20  # of the values that a convolution sees, for all images at once


class Teacher:
    """A network of integers that labels 8-bit images."""

    def __init__(
        self,
        arrays: dict[str, NDArray[Any]],
        labels: dict[str, Any],
        image: dict[str, Any],
        classes: int,
    ) -> None:
        """Take ``label_weights`` and ``label_affine`` of a file, and fields of its manifest."""
        shape = (image["channels"], image["height"], image["width"])
        self._steps, self._scale = network_of(labels, image, classes), labels["scale"]
        self._preprocess = Preprocess(image["preprocessing"], *shape)
        self._units = list(stored_units(self._steps, labels["architecture"], arrays))
        self._at_once = max(1, HELD_BYTES // (8 * costs(self._steps, *shape)[1]))

    @neutral()
    def logits(self, images: Tensor) -> Tensor:
        """Return logits float64 (B, classes), on the CPU, of images uint8 (B, C, H, W); exact."""
        images = images.cpu()
        return torch.cat([self._run(part) for part in torch.split(images, self._at_once)])

    def _run(self, images: Tensor) -> Tensor:
        x: Tensor = self._preprocess(images).double() * self._scale
        x = x.round().clamp(*LIMITS["signed"])
        stored = iter(self._units)
        for step in self._steps:
            if isinstance(step, str):
                x = pooled(x, step)
            elif isinstance(step, Unit):
                x = _applied(x, *next(stored))
            else:
                y = x
                for _ in step.body:
                    y = _applied(y, *next(stored))
                y = y + _applied(x, *next(stored))
                x = y.clamp(*LIMITS["relu" if step.relu else "signed"])
        return x


def _applied(x: Tensor, unit: Unit | None, weights: Tensor, affine: Tensor) -> Tensor:
    z = x if unit is None else _sums(x, unit, weights)
    end = "signed" if unit is None else unit.end
    shape = (-1,) + (1,) * (z.ndim - 2)
    y = z * affine[:, 0].view(shape) + affine[:, 1].view(shape)
    return y if end == "logits" else y.round().clamp(*LIMITS[end])


def pooled(x: Tensor, step: Pooling, dtype: torch.dtype | None = None) -> Tensor:
    """Return what a step without weights makes of x (B, C, h, w), sums over all in ``dtype``."""
    if step == "pool2":
        return F.avg_pool2d(x, 2, divisor_override=1)
    if step == "max3":
        return F.max_pool2d(x, 3, 2, 1)
    return x.sum((2, 3), dtype=dtype)


def teacher_symbols(logits: Tensor, temperature: float) -> NDArray[np.uint8]:
    """Return symbols of labels, uint8 of the shape of logits float64 (..., classes); exact."""
    unit = OCTAVE / (temperature * LN2)
    octaves = (logits.amax(-1, keepdim=True) - logits) * unit
    return octaves.round().clamp(max=NOTHING - 1).to(torch.uint8).numpy()


def stored_units(
    steps: Network, architecture: str, arrays: dict[str, NDArray[Any]]
) -> Iterator[tuple[Unit | None, Tensor, Tensor]]:
    """Give each unit of ``steps``, None for a shortcut without weights, as a file stores it.

    With it come its weights, integers in float64 (groups, filters of one, values), and its rows
    (a, b), float64 (filters, 2). ``arrays`` has ``label_weights`` and ``label_affine``.
    """
    weights = torch.from_numpy(arrays["label_weights"].astype(np.float64) - 128)
    stored = arrays["label_affine"]
    rows_stored = rows_of(steps, stored) if architecture == RESIDUAL else stored.astype(np.float64)
    affine = torch.from_numpy(rows_stored)
    at = row = 0
    for unit in units(steps):
        size, rows = (0, 1) if unit is None else (unit.weights, unit.filters)
        own = weights[at : at + size]
        if unit is not None:
            own = own.view(unit.groups, unit.filters // unit.groups, -1)
        yield unit, own, affine[row : row + rows]
        at, row = at + size, row + rows


def _sums(x: Tensor, unit: Unit, weights: Tensor) -> Tensor:
    """Return the exact sums of a layer, float64 (B, filters, h, w), or (B, filters)."""
    if unit.kernel == 0:
        return x.flatten(1) @ weights[0].T
    height, width = (-(-side // unit.stride) for side in x.shape[2:])
    if unit.kernel == 1:
        seen = x[:, :, :: unit.stride, :: unit.stride].flatten(2)
    else:
        seen = F.unfold(x, unit.kernel, padding=unit.kernel // 2, stride=unit.stride)
    seen = seen.view(len(x), unit.groups, -1, height * width)
    # Plain products of matrices: a convolution may be computed by a way that rounds.
    return (weights @ seen).view(len(x), unit.filters, height, width)
