"""An observer inside of the file, in integers: every machine computes the same labels from it.

Weights are 8-bit integers, what flows between layers 16-bit ones. All sums are integers below 2^53
in binary64, exact in whatever order a library adds, and each becomes an integer again by one
product, one sum and one rounding (specification, section 8.3.1).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from ...errors import UsageError
from ...limits import Limits
from ...observers.file import Trained
from ...observers.networks import SEEN_PIXELS
from ...observers.networks import Residual as FloatResidual
from ...preprocessing.transform import Preprocess
from ...runtime.world import neutral
from ..shared.labels import OCTAVE
from ..shared.rules import NOTHING
from .integer_network import ARCHITECTURES, Network, Unit, costs, network, units

LARGEST = {"relu": 65535, "signed": 32767}
ROOM = 2.0  # times the largest value that was seen fits
SIX = 6.0  # ReLU6 ends where its integers end
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
        self._steps, self._scale = network(labels["architecture"], *shape, classes), labels["scale"]
        self._preprocess = Preprocess(image["preprocessing"], *shape)
        self._units = list(_taken_apart(self._steps, arrays))
        self._at_once = max(1, HELD_BYTES // (8 * costs(self._steps, *shape)[1]))

    @neutral()
    def logits(self, images: Tensor) -> Tensor:
        """Return logits float64 (B, classes), on the CPU, of images uint8 (B, C, H, W); exact."""
        images = images.cpu()
        return torch.cat([self._run(part) for part in torch.split(images, self._at_once)])

    def _run(self, images: Tensor) -> Tensor:
        x: Tensor = self._preprocess(images).double() * self._scale
        x = x.round().clamp(-LARGEST["signed"] - 1, LARGEST["signed"])
        stored = iter(self._units)
        for step in self._steps:
            if step == "pool2":
                x = F.avg_pool2d(x, 2, divisor_override=1)
            elif step == "max3":
                x = F.max_pool2d(x, 3, 2, 1)
            elif step == "sum":
                x = x.sum((2, 3))
            elif isinstance(step, Unit):
                x = _applied(x, *next(stored))
            else:
                y = x
                for _ in step.body:
                    y = _applied(y, *next(stored))
                x = _in_range(y + _applied(x, *next(stored)), "relu" if step.relu else "signed")
        return x


def _applied(x: Tensor, unit: Unit | None, weights: Tensor, affine: Tensor) -> Tensor:
    z = x if unit is None else _sums(x, unit, weights)
    end = "signed" if unit is None else unit.end
    shape = (-1,) + (1,) * (z.ndim - 2)
    y = z * affine[:, 0].view(shape) + affine[:, 1].view(shape)
    return y if end == "logits" else _in_range(y.round(), end)


def _in_range(x: Tensor, end: str) -> Tensor:
    return x.clamp(0 if end == "relu" else -LARGEST["signed"] - 1, LARGEST[end])


def teacher_symbols(logits: Tensor, temperature: float) -> NDArray[np.uint8]:
    """Return symbols of labels, uint8 of the shape of logits float64 (..., classes); exact."""
    unit = OCTAVE / (temperature * LN2)
    octaves = (logits.amax(-1, keepdim=True) - logits) * unit
    return octaves.round().clamp(max=NOTHING - 1).to(torch.uint8).numpy()


def require_embeddable(observer: Trained, samples: int) -> None:
    """Raise UsageError for an observer that a file cannot hold, or that readers would refuse.

    ``samples`` are all those that it will have to label.
    """
    description = observer.description
    name, shape = description.architecture, description.shape
    if name not in ARCHITECTURES:
        raise UsageError(
            f"`labels`=embed-teacher: a file cannot hold a {name}; it holds "
            f"{', '.join(ARCHITECTURES)}"
        )
    products, _ = costs(network(name, *shape, len(description.classes)), *shape)
    most = Limits().teacher_products
    if samples * products > most:
        raise UsageError(
            f"`labels`=embed-teacher: to label {samples:,} images takes readers "
            f"{samples * products:.1e} products, the limit is {most:.0e}; use `labels`=auto"
        )


@neutral()
def embed(observer: Trained, images: Tensor) -> tuple[dict[str, NDArray[Any]], float]:
    """Return the tensors of an observer in integers, and the scale of what comes in.

    ``images``, uint8 (n, C, H, W), show how far the values of every layer go; twice as much fits.

    The architecture is one that a file can hold, see ``require_embeddable``.
    """
    device = next(observer.network.parameters()).device
    x = observer.preprocess(images).to(device)
    scale = LARGEST["signed"] / (ROOM * max(float(x.abs().max()), 1e-6))
    # Few digits: it stands in the manifest as a number.
    scale = float(f"{scale:.4g}")
    writer, inside = _Writer(_seen(observer.network, x)), scale
    for block in observer.network.blocks:
        inside = writer.walk(block, inside)
    writer.head(observer.network.head, x, observer, inside)
    arrays: dict[str, NDArray[Any]] = {
        "label_weights": np.concatenate(writer.weights),
        "label_affine": np.concatenate(writer.rows).astype(np.float32),
    }
    return arrays, scale


class _Writer:
    """Turns modules into integers, in the order of ``integer_network.units``."""

    def __init__(self, seen: dict[nn.Module, float]) -> None:
        self._seen = seen
        self.weights: list[NDArray[np.uint8]] = []
        self.rows: list[NDArray[np.float64]] = []

    def walk(self, module: nn.Module, scale: float, out: float | None = None) -> float:
        """Write a module that takes integers at ``scale`` (integer per unit); return its own.

        ``out`` is the scale that its last convolution must give, where it must give one.
        """
        if isinstance(module, FloatResidual):
            return self._residual(module, scale)
        if isinstance(module, nn.AvgPool2d):
            return scale * 4
        if isinstance(module, nn.MaxPool2d):
            return scale
        assert isinstance(module, nn.Sequential)
        parts = list(module)
        places = [i for i, part in enumerate(parts) if isinstance(part, nn.Conv2d)]
        for i, part in enumerate(parts):
            if isinstance(part, nn.Conv2d):
                activation = parts[i + 2] if i + 2 < len(parts) else None
                last = out if i == places[-1] else None
                scale = self._convolution(part, parts[i + 1], activation, scale, last)
            elif isinstance(part, nn.AvgPool2d | nn.MaxPool2d | nn.Sequential | FloatResidual):
                scale = self.walk(part, scale)
        return scale

    def _residual(self, module: FloatResidual, scale: float) -> float:
        ends = [self._seen[part] for part in (module.body, module.shortcut)]
        out = LARGEST["signed"] / (ROOM * max(ends))
        self.walk(module.body, scale, out)
        if isinstance(module.shortcut, nn.Identity):
            self.rows.append(np.array([[out / scale, 0.0]]))
        else:
            self.walk(module.shortcut, scale, out)
        return out

    def _convolution(
        self,
        layer: nn.Conv2d,
        norm: nn.Module,
        activation: nn.Module | None,
        scale: float,
        out: float | None,
    ) -> float:
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        gain = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
        shift = norm.bias.double() - norm.running_mean.double() * gain
        if isinstance(activation, nn.ReLU6):
            out = LARGEST["relu"] / SIX
        elif isinstance(activation, nn.ReLU):
            out = LARGEST["relu"] / (ROOM * self._seen[norm])
        elif out is None:
            out = LARGEST["signed"] / (ROOM * self._seen[norm])
        step = self._integers(layer.weight)
        a = out * step * gain.cpu().numpy() / scale
        self.rows.append(np.stack([a, out * shift.cpu().numpy()], 1))
        return out

    def head(self, head: nn.Module, x: Tensor, observer: Trained, scale: float) -> None:
        """Write the linear layer, after the mean that a deep network takes over all places."""
        assert isinstance(head, nn.Sequential)
        linear = head[-1]
        assert isinstance(linear, nn.Linear)
        if isinstance(head[0], nn.AdaptiveAvgPool2d):
            with torch.no_grad():
                places = x[:1]
                for block in observer.network.blocks:
                    places = block(places)
            scale *= math.prod(places.shape[2:])
        step = self._integers(linear.weight)
        bias = linear.bias.detach().double().cpu().numpy()
        self.rows.append(np.stack([step / scale, bias], 1))

    def _integers(self, weights: Tensor) -> NDArray[np.float64]:
        """Write weights as symbols, -127 to 127 and 128; return the step of each filter."""
        rows = weights.detach().double().cpu().numpy().reshape(len(weights), -1)
        largest = np.abs(rows).max(1)
        step = np.where(largest > 0, largest, 1.0) / 127
        self.weights.append((np.rint(rows / step[:, None]) + 128).astype(np.uint8).reshape(-1))
        return step


def _seen(network: nn.Module, x: Tensor) -> dict[nn.Module, float]:
    """Return the largest magnitude that every norm, body and shortcut gives for these inputs."""
    found: dict[nn.Module, float] = {}

    def look(module: nn.Module, _: Any, out: Tensor) -> None:
        found[module] = max(float(out.abs().max()), found.get(module, 1e-6))

    parts: list[nn.Module] = []
    for module in network.modules():
        if isinstance(module, FloatResidual):
            parts += [module.body, module.shortcut]
        elif isinstance(module, nn.BatchNorm2d):
            parts.append(module)
    hooks = [part.register_forward_hook(look) for part in parts]
    try:
        with torch.no_grad():
            for part in torch.split(x, max(1, SEEN_PIXELS // (x.shape[2] * x.shape[3]))):
                network(part)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _taken_apart(
    steps: Network, arrays: dict[str, NDArray[Any]]
) -> Iterator[tuple[Unit | None, Tensor, Tensor]]:
    """Give each unit with its weights, (groups, filters of one, values), and its rows."""
    weights = torch.from_numpy(arrays["label_weights"].astype(np.float64) - 128)
    affine = torch.from_numpy(arrays["label_affine"].astype(np.float64))
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
