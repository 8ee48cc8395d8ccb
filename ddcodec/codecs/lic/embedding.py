"""An observer turned into the integers of a file (specification, section 8.3.1).

Batch norms are folded, weights get 8 bits, and what flows between layers 16.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...errors import UsageError
from ...limits import Limits
from ...observers.file import Trained
from ...observers.networks import Residual as FloatResidual
from ...observers.small_networks import SmallNetwork
from ...runtime.world import neutral
from .embedding_small import ROOM, embed_small
from .integer_network import ARCHITECTURES, RESIDUAL, Network, costs, network, taken_apart
from .params import LICParams
from .teacher import LARGEST
from .watched import pass_watched

SIX = 6.0  # ReLU6 ends where its integers end


def is_embeddable(architecture: str) -> bool:
    """Say whether a file can hold an observer of this architecture."""
    return taken_apart(architecture)[0] in (*ARCHITECTURES, RESIDUAL)


def require_embeddable(observer: Trained, samples: int, labels: str = "embed-teacher") -> None:
    """Raise UsageError for an observer that a file cannot hold, or that readers would refuse.

    ``samples`` are all those that it will have to label, ``labels`` the option that asks for it.
    """
    description = observer.description
    name, shape = description.architecture, description.shape
    if not is_embeddable(name):
        raise UsageError(
            f"`labels`={labels}: a file cannot hold a {name}; it holds "
            f"{', '.join(ARCHITECTURES)} and {RESIDUAL}-N"
        )
    products, _ = costs(_steps_of(observer), *shape)
    most = Limits().teacher_products
    if samples * products > most:
        raise UsageError(
            f"`labels`={labels}: to label {samples:,} images takes readers "
            f"{samples * products:.1e} products, the limit is {most:.0e}; use `labels`=auto"
        )


def require_labels(observer: Trained, params: LICParams) -> None:
    """Raise UsageError where labels are to come from an observer in the file, and it cannot be.

    That is one that the file cannot hold, or that readers would refuse for its work.
    """
    if params.labels.kind == "teacher":
        description = observer.description
        regions = params.mosaic(*description.shape[1:]).regions
        samples = params.ipc * len(description.classes) * regions
        require_embeddable(observer, samples, params.labels.as_option())


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
    if isinstance(observer.network, SmallNetwork):
        return embed_small(observer.network, x, _steps_of(observer), scale), scale
    writer, inside = _Writer(_seen(observer.network, x)), scale
    for block in observer.network.blocks:
        inside = writer.walk(block, inside)
    writer.head(observer.network.head, x, observer, inside)
    arrays: dict[str, NDArray[Any]] = {
        "label_weights": np.concatenate(writer.weights),
        "label_affine": np.concatenate(writer.rows).astype(np.float32),
    }
    return arrays, scale


def _steps_of(observer: Trained) -> Network:
    description = observer.description
    name, size = taken_apart(description.architecture)
    return network(name, *description.shape, len(description.classes), size)


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
    pass_watched(network, parts, x, look)
    return found
