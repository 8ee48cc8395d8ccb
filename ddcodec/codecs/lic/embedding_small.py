"""A small residual network turned into the integers of a file (specification, section 8.3.1).

Its weights are integers times a scale for each filter already, as it was trained, and stay what
they are. Scales and batch norms become the two bytes of ``affine``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from ...observers.small_networks import Layer, SmallNetwork
from .affine import OCTAVE, ZERO, factor_codes, factors, largest_shift, shift_codes
from .integer_network import End, Network, Unit
from .teacher import LARGEST
from .watched import pass_watched

ROOM = 2.0  # times the largest value that was seen fits
WHOLE = 127  # the largest weight
TINY = 1e-12
Values = NDArray[np.float64]


def embed_small(
    network: SmallNetwork, x: Tensor, steps: Network, scale: float
) -> dict[str, NDArray[np.uint8]]:
    """Return ``label_weights`` and ``label_affine`` of a network that takes these steps.

    ``x``, float32 (n, C, H, W), goes into it at ``scale`` (integer per unit) and shows how far the
    values of every layer go.
    """
    layers = list(network.layers())
    writer = _Writer(layers, _seen(network, layers, x))
    for step in steps:
        if step == "pool2":
            scale *= 4
        elif step == "sum":
            scale *= writer.places
        elif isinstance(step, Unit):
            scale = writer.unit(step.end, scale)
        elif not isinstance(step, str):
            scale = writer.residual(step.shortcut is not None, scale)
    return {
        "label_weights": np.concatenate(writer.weights),
        "label_affine": np.concatenate(writer.codes),
    }


@dataclass(frozen=True)
class _Folded:
    """A layer as factor x integers + bias, batch norm included."""

    integers: Values  # (filters, values of one)
    factor: Values  # (filters), >= 0
    bias: Values
    mean: Values  # of factor x sum, where a norm knows it, else 0
    largest: float  # magnitude of what comes out


class _Writer:
    """Collects the tensors, layer by layer."""

    def __init__(self, layers: Sequence[Layer], seen: list[_Seen]) -> None:
        self._layers: Iterator[tuple[Layer, _Seen]] = iter(zip(layers, seen, strict=True))
        self.weights: list[NDArray[np.uint8]] = []
        self.codes: list[NDArray[np.uint8]] = []
        self.places = 1  # of an image, behind the last layer

    def unit(self, end: End, scale: float) -> float:
        """Write the next layer, which takes integers at ``scale``; return the scale of its own."""
        layer, _ = self._next()
        out = 1.0 if end == "logits" else _scale_of(end, layer, scale)
        self._write(layer, end, scale, out)
        return out

    def residual(self, projected: bool, scale: float) -> float:
        """Write the two layers of a block, and its shortcut, with a layer where ``projected``."""
        first, incoming = self._next()
        inside = _scale_of("relu", first, scale)
        self._write(first, "relu", scale, inside)
        second, _ = self._next()
        if projected:
            around, _ = self._next()
            out = min(_scale_of("signed", second, inside), _scale_of("signed", around, scale))
            self._write(second, "signed", inside, out)
            self._write(around, "signed", scale, out)
            return out
        room = _on_grid(LARGEST["signed"] / (ROOM * incoming))
        out = min(_scale_of("signed", second, inside), room)
        self._write(second, "signed", inside, out)
        code = factor_codes(np.array([out / scale]), "signed")
        self.codes.append(np.array([[code[0], ZERO]], np.uint8))
        return out

    def _next(self) -> tuple[_Folded, float]:
        layer, seen = next(self._layers)
        self.places = seen.places
        return _folded(layer, seen.outgoing), seen.incoming

    def _write(self, layer: _Folded, end: End, scale: float, out: float) -> None:
        self.weights.append((layer.integers + 128).astype(np.uint8).reshape(-1))
        wanted = layer.factor * (out / scale)
        codes = factor_codes(wanted, end)
        # A factor that is off moves the mean of what comes out, which the shift can undo.
        ratio = factors(end)[codes] / np.maximum(wanted, factors(end)[0])
        shift = out * (layer.bias + layer.mean * (1 - ratio))
        self.codes.append(np.stack([codes, shift_codes(shift, end)], 1))


def _scale_of(end: End, layer: _Folded, scale: float) -> float:
    """Return the scale of what comes out: as fine as room, factors and shifts allow."""
    reached = factors(end)[-1] * scale / max(float(layer.factor.max()), TINY)
    shifted = largest_shift(end) / max(float(np.abs(layer.bias).max()), TINY)
    return _on_grid(min(LARGEST[end] / (ROOM * layer.largest), reached, shifted))


def _on_grid(scale: float) -> float:
    # So the factor of a shortcut, one scale by another, is no other than its code says.
    return float(2.0 ** (np.floor(np.log2(scale) * OCTAVE) / OCTAVE))


def _folded(layer: Layer, largest: float) -> _Folded:
    if layer.step:
        whole, scale = layer.integers()
    else:  # not rounded in training: as fine as symbols are
        scale = layer.weight.detach().abs().amax((1, 2, 3)).clamp(min=TINY) / WHOLE
        whole = (layer.weight.detach() / scale[:, None, None, None]).round()
    integers, factor = _array(whole).reshape(len(whole), -1), _array(scale)
    if layer.norm is None:
        assert layer.bias is not None
        return _Folded(integers, factor, _array(layer.bias), np.zeros_like(factor), largest)
    norm = layer.norm
    assert norm.running_mean is not None
    assert norm.running_var is not None
    gain = _array(norm.weight) / np.sqrt(_array(norm.running_var) + norm.eps)
    mean = _array(norm.running_mean) * gain
    integers *= np.where(gain < 0, -1, 1)[:, None]
    return _Folded(integers, factor * np.abs(gain), _array(norm.bias) - mean, mean, largest)


def _array(x: Tensor) -> Values:
    # Where the training diverged, what is no number counts as 0.
    return np.nan_to_num(x.detach().cpu().numpy().astype(np.float64), posinf=0, neginf=0)


@dataclass
class _Seen:
    """Of a layer, for all images: the largest magnitude before and behind it, and its places."""

    incoming: float = 1e-6
    outgoing: float = 1e-6
    places: int = 1


def _seen(network: SmallNetwork, layers: Sequence[Layer], x: Tensor) -> list[_Seen]:
    found = {id(layer): _Seen() for layer in layers}

    def look(module: nn.Module, given: tuple[Any, ...], out: Tensor) -> None:
        seen = found[id(module)]
        seen.incoming = max(seen.incoming, float(given[0].abs().max()))
        seen.outgoing = max(seen.outgoing, float(out.abs().max()))
        seen.places = prod(out.shape[2:])

    pass_watched(network, layers, x, look)
    return list(found.values())
