"""The network in a file as it labels views while a student learns: in floats, on any device.

It is the network of ``teacher`` without the rounding between its layers. Weights, scales and shifts
are those stored, multiplied out, so its labels of plain images are the exact ones but for what the
rounding does: less than a hundredth. They may differ in the last bits from one machine to another,
as everything does that a student computes.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ...errors import InvalidFile, UsageError
from ...runtime.world import neutral_tensors
from .integer_network import Network, Residual, Unit, name_of, network_of
from .teacher import LIMITS, pooled, stored_units

if TYPE_CHECKING:
    from ...format import Manifest

# Of weights multiplied out: with the limits between layers no sum in a network that a file can hold
# reaches the end of float32, so no label is other than a number.
LARGEST_FOLDED = 1e20
PIXELS_AT_ONCE = 1 << 20  # of views; memory is some hundred values of each


class Folded(NamedTuple):
    """A convolution or a linear layer with its scales in its weights.

    Attributes:
        unit: what it is.
        weights: float (filters, channels of a group, kernel, kernel), or (classes, values).
        bias: float (filters,).
    """

    unit: Unit
    weights: Tensor
    bias: Tensor

    def to(self, where: torch.device | torch.dtype | str) -> Folded:
        """Return it on a device, or in another type."""
        return Folded(self.unit, self.weights.to(where), self.bias.to(where))


class Shortcut(NamedTuple):
    """What takes the place of a shortcut's convolution: a product and a sum."""

    scale: float
    shift: float

    def to(self, where: torch.device | torch.dtype | str) -> Shortcut:
        """Return itself: numbers are the same everywhere."""
        del where
        return self


Layer = Folded | Shortcut


class LiveTeacher:
    """Labels views (``nn.views.Teacher``)."""

    def __init__(
        self,
        steps: Network,
        stored: Iterable[tuple[Unit | None, Tensor, Tensor]],
        image: tuple[int, int, int],
        scale: float,
        temperature: float,
        name: str,
    ) -> None:
        """Take a network in integers.

        Args:
            steps: from ``integer_network``.
            stored: from ``teacher.stored_units``.
            image: (channels, height, width) of views.
            scale: of what comes in, integers per unit.
            temperature: by which logits are divided.
            name: of the architecture, with its size where it has one.

        Raises InvalidFile (DDS-E023) for weights that are not finite, or as good as, in float32.
        """
        self._steps, self._image, self._most = steps, image, -LIMITS["signed"][0] / scale
        self._units = {torch.float32: [*_folded(stored, scale, temperature)]}
        self._text = f"{name} that labels views, temperature {temperature:g}"

    def __repr__(self) -> str:
        return self._text

    def to(self, device: torch.device | str) -> LiveTeacher:
        """Return the same network on ``device``."""
        other = copy.copy(self)
        other._units = {torch.float32: [unit.to(device) for unit in self._units[torch.float32]]}
        return other

    def labels(self, views: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return soft labels float32 (B, classes), rows summing to 1, of what a student sees.

        Args:
            views: (B, C, H, W) in the space of the preprocessing, where the network is, of float32,
                or of another floating type, which becomes that.
            dtype: of convolutions, float32 or bfloat16.

        No gradient flows back. Raises UsageError for what is no such images.
        """
        self._check(views)
        with neutral_tensors(), torch.no_grad():
            at_once = max(1, PIXELS_AT_ONCE // (views.shape[2] * views.shape[3]))
            parts = [self._logits(part, dtype) for part in torch.split(views, at_once)]
            return torch.cat(parts).softmax(1)

    def _check(self, views: Tensor) -> None:
        """Raise UsageError for what is no tensor of preprocessed images of the right size."""
        channels, height, width = self._image
        wanted = f"the network in the file sees float32 tensors (B, {channels}, {height}, {width})"
        if not isinstance(views, Tensor):
            raise UsageError(f"{wanted}, got {type(views).__name__}")
        if not views.is_floating_point() or views.ndim != 4 or views.shape[1:] != self._image:
            kind = str(views.dtype).removeprefix("torch.")
            bytes_too = "; `preprocess` makes them of bytes" if kind == "uint8" else ""
            raise UsageError(f"{wanted}, got {kind} {tuple(views.shape)}{bytes_too}")

    def _logits(self, views: Tensor, dtype: torch.dtype) -> Tensor:
        """Return logits float32 (B, classes), divided by the temperature."""
        x = views.float().clamp(-self._most, self._most)
        x = x.to(dtype, memory_format=torch.channels_last)
        units = iter(self._units_in(dtype))
        for step in self._steps:
            if isinstance(step, str):
                x = pooled(x, step, torch.float32)
            elif isinstance(step, Unit):
                x = _applied(x, next(units))
            else:
                x = _residual(x, step, units)
        return x

    def _units_in(self, dtype: torch.dtype) -> list[Layer]:
        """Return the units with the convolutions in another type, made once."""
        if dtype not in self._units:
            self._units[dtype] = [
                one if isinstance(one, Folded) and one.unit.kernel == 0 else one.to(dtype)
                for one in self._units[torch.float32]
            ]
        return self._units[dtype]


def live_teacher(manifest: Manifest, arrays: Mapping[str, NDArray[Any]]) -> LiveTeacher | None:
    """Return the network in a file, where the file says that it labels views; else None.

    Raises InvalidFile for one that is not finite in float32.
    """
    labels, image = manifest.labels, manifest.image
    if not labels.get("live", False):
        return None
    shape = (image["channels"], image["height"], image["width"])
    steps = network_of(labels, image, len(manifest.classes))
    stored = stored_units(steps, labels["architecture"], dict(arrays))
    scale, temperature = labels["scale"], labels["temperature"]
    return LiveTeacher(steps, stored, shape, scale, temperature, name_of(labels))


def _applied(x: Tensor, one: Layer) -> Tensor:
    """Return what a layer gives, in memory of its own."""
    if isinstance(one, Shortcut):
        return (x * one.scale).add_(one.shift).clamp_(*LIMITS["signed"])
    unit, weights, bias = one
    if unit.kernel == 0:
        return F.linear(x.flatten(1).float(), weights, bias)
    y = F.conv2d(x, weights, bias, unit.stride, unit.kernel // 2, groups=unit.groups)
    return y.clamp_(*LIMITS[unit.end])


def _residual(x: Tensor, step: Residual, units: Iterator[Layer]) -> Tensor:
    y = x
    for _ in step.body:
        y = _applied(y, next(units))
    y = y.add_(_applied(x, next(units)))
    return y.clamp_(*LIMITS["relu" if step.relu else "signed"])


def _folded(
    stored: Iterable[tuple[Unit | None, Tensor, Tensor]], scale: float, temperature: float
) -> Iterator[Layer]:
    """Give every unit with ``a`` in its weights; the first sees plain values, the last divides."""
    before = scale
    for unit, weights, affine in stored:
        a, b = affine.unbind(1)
        if unit is None:
            yield Shortcut(*_finite(affine[0]).tolist())
            continue
        after = 1 / temperature if unit.end == "logits" else 1.0
        rows = weights.reshape(unit.filters, -1) * (a * before * after)[:, None]
        before = 1.0
        if unit.kernel:
            rows = rows.view(unit.filters, unit.incoming, unit.kernel, unit.kernel)
            rows = rows.to(memory_format=torch.channels_last)
        yield Folded(unit, _finite(rows).float(), _finite(b * after).float())


def _finite(values: Tensor) -> Tensor:
    """Return ``values`` as they are; raises InvalidFile for what a sum in float32 cannot hold."""
    if not bool((values.abs() <= LARGEST_FOLDED).all()):
        raise InvalidFile(
            "tensor 'label_affine': the network that labels views is not finite in float32",
            "DDS-E023",
        )
    return values
