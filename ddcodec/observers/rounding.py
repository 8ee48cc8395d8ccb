"""Small networks within a number of bytes: the widest that fits, and rounding while it learns.

A ``.ddset`` file holds the weights as integers under the coder ``context``, and two codes of a byte
for each row, a scale and a bias (specification, section 8.3.1). The codes depend on the images that
the file labels, so a bound stands for them here: the bytes of codes without any pattern.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ..errors import UsageError
from ..format import context
from .build import check_name
from .small_networks import LARGEST_SIZE, Layer, Shape, SmallNetwork, size_of, step_for

NAME = "residual"  # with its size to be found
BITS, LEAST_BITS, MOST_BITS = 3.0, 2.0, 7.0  # of a weight; its integers end at 127
WIDER = 0.95  # of the bits, where that gives a wider network
LEARNING = 1.015  # what the coder needs above the entropy, as it has to learn it
ROW_BYTES, MORE_BYTES = 2.2, 8  # at most, of two codes drawn at random, and of all in addition
COARSER = 1.02  # times the step, while the bytes are too many
MARGIN = 100  # one part of the bytes is left free while a network learns
CHECKS = 20  # of the bytes in a training


class Rounding:
    """Rounds the weights of a network in the second half of its training.

    In the first half they are free, so that they learn faster; in the second they settle around
    integers. A step that changes at the very end costs accuracy, so bytes are counted on the way.
    """

    def __init__(self, network: SmallNetwork, bits: float, total: int | None) -> None:
        """Take about the bits of a weight, and the most bytes in a file, None for any number."""
        self._network, self._bits, self._total = network, bits, total

    def before(self, step: int, steps: int) -> None:
        """Round where it is time to, before ``step`` of ``steps`` (0 for the first) is taken."""
        since = step - steps // 2
        check = since > 0 and since % max(1, steps // CHECKS) == 0
        if check or (since >= 0 and not self._network.step):
            self._round(MARGIN)

    def finish(self) -> int:
        """Round for good; return the bytes in a file, at most, which are no more than allowed."""
        self._round()
        return len(coded_weights(self._network)) + bytes_of_rows(self._network.shape)

    def _round(self, margin: int | None = None) -> None:
        if not self._network.step:
            self._network.round_to(step_for(self._bits))
        if self._total is not None:
            total = self._total - (self._total // margin if margin else 0)
            fit(self._network, total - bytes_of_rows(self._network.shape), coded_weights)


def fit(network: SmallNetwork, total: int, write: Callable[[SmallNetwork], bytes]) -> bytes:
    """Return a rounded network as ``write`` gives it, after coarser steps while that is too long.

    That is for the middle of the training, from where on weights settle around their integers:
    a step changed by 2 % at its end cost two points on digits.
    """
    while len(data := write(network)) > total:
        network.round_to(network.step * COARSER)
    return data


def widest(
    image: tuple[int, int, int], classes: int, total: int, bytes_of: Callable[[Shape], int]
) -> Shape | None:
    """Return the widest shape of at most ``total`` bytes, None where none fits."""
    sizes = range(1, LARGEST_SIZE + 1)
    size = bisect_right(sizes, total, key=lambda size: bytes_of(Shape(image, classes, size)))
    return Shape(image, classes, size) if size else None


def counts(shape: Shape) -> tuple[int, int, int]:
    """Return the numbers of weights, of output channels of all layers, and of layers."""
    with torch.device("meta"):
        layers = list(SmallNetwork(shape).layers())
    weights = sum(layer.weight.numel() for layer in layers)
    return weights, sum(len(layer.weight) for layer in layers), len(layers)


def coded_weights(network: SmallNetwork) -> bytes:
    """Return the integers of a rounded network as a ``.ddset`` file holds them."""
    whole = torch.cat([_integers(layer).reshape(-1) for layer in network.layers()])
    # What is no number, where a training diverged, counts as 0.
    return context.encode((whole.nan_to_num().cpu().numpy() + 128).astype(np.uint8), 8)


def _integers(layer: Layer) -> Tensor:
    whole, _ = layer.integers()
    if layer.norm is None:
        return whole
    # A file has no factors below 0: the filter turns over instead.
    return torch.where(layer.norm.weight[:, None, None, None] < 0, -whole, whole)


def bytes_of_rows(shape: Shape) -> int:
    """Return the bytes that scales and biases take in a ``.ddset`` file, at most."""
    rows = counts(shape)[1] + 1  # one of the first shortcut, which has no weights
    return math.ceil(ROW_BYTES * rows) + MORE_BYTES


def predicted_bytes(shape: Shape, bits: float) -> int:
    """Return about the bytes in a ``.ddset`` file of a network of ``bits`` bits a weight."""
    return round(bits * counts(shape)[0] / 8 * LEARNING) + bytes_of_rows(shape)


def smallest_bytes(image: tuple[int, int, int], classes: int) -> int:
    """Return about the bytes in a ``.ddset`` file of the smallest network for images (C, H, W)."""
    return predicted_bytes(Shape(image, classes, 1), LEAST_BITS)


def check_named(architecture: str, total: int | None, bits: float | None = None) -> None:
    """Raise UsageError for an unknown architecture, or one that ``total`` or ``bits`` are not for.

    Raises MissingExtra where the library of a name is not there.
    """
    if architecture == NAME and total is None:
        raise UsageError("residual needs a size, as in residual-42, or `total_bytes`")
    if architecture != NAME:
        check_name(architecture)
        for name, value in (("total_bytes", total), ("bits", bits)):
            if value is not None and size_of(architecture) is None:
                raise UsageError(f"`{name}` is for `architecture` residual, not {architecture}")


def with_size(
    architecture: str, image: tuple[int, int, int], classes: int, total: int | None, bits: float
) -> str:
    """Return an architecture: for ``residual`` with the size that fits into ``total`` bytes.

    ``image`` is (C, H, W). Raises UsageError where nothing fits, and as ``check_named`` does.
    """
    check_named(architecture, total)
    if total is None:
        return architecture
    size = size_of(architecture)
    smallest = predicted_bytes(Shape(image, classes, size or 1), LEAST_BITS)
    if smallest > total:
        raise UsageError(
            f"residual-{size or 1} takes about {smallest:,} bytes for {classes} classes and images "
            f"of {'x'.join(map(str, image))} (channels x height x width), more than "
            f"`total_bytes`={total:,}"
        )
    if size is None:
        least = max(LEAST_BITS, WIDER * bits)
        found = widest(image, classes, total, lambda shape: predicted_bytes(shape, least))
        size = found.size if found else 1
    return f"{NAME}-{size}"
