"""A small network as bytes, and back: all that is needed to run it on 8-bit images.

The bytes hold, one after the other, little-endian:

- channels and sides of the images, classes and size of the shape (uint16 each), the largest
  integer among the weights (uint8), the length of the second part (uint32);
- the integers of all weights, layer by layer, under the coder ``context`` of the format;
- for every layer the scale of each channel, the unit of the biases, a bias for each channel, uint8
  each, under the same coder.

Batch norm is folded into scale and bias. Scales are powers of 2^(1/12), so one is 3 % off at most;
a bias is a multiple of its unit, from -127 to 127. The architecture itself is software, as that of
the students. Pixels come in as value / 127.5 - 1, so no numbers of a preprocessing are needed.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..format import context
from ..observers.rounding import LEARNING, counts
from ..observers.small_networks import LARGEST, Layer, Shape, SmallNetwork

HEAD = struct.Struct("<5HBI")

OCTAVE, LOWEST = 12, -16  # scales in a factor of two; log2 of the smallest
SYMBOL_BITS = 8

Bytes = NDArray[np.uint8]


def preprocessing(channels: int) -> dict[str, Any]:
    """Return the fixed preprocessing of all images: -1 black, 1 white."""
    return {"kind": "standardise", "mean": [0.5] * channels, "std": [0.5] * channels}


def predicted_bytes(shape: Shape, bits: float) -> int:
    """Return about the bytes of a network whose weights take ``bits`` bits each."""
    weights, channels, layers = counts(shape)
    return HEAD.size + round(bits * weights / 8 * LEARNING) + 2 * channels + layers


def to_bytes(network: SmallNetwork) -> bytes:
    """Return the bytes of a network that is rounded, its batch norms folded."""
    whole, parameters = [], []
    for layer in network.layers():
        integers, scale, bias = folded(layer)
        whole.append(integers.reshape(-1))
        parameters += [_scale_codes(scale), *_bias_codes(bias)]
    values = np.concatenate(whole)
    largest = max(1, int(np.abs(values).max()))
    coded = context.encode((values + largest).astype(np.uint8), _symbol_bits(largest))
    rest = context.encode(np.concatenate(parameters), SYMBOL_BITS)
    shape = network.shape
    head = HEAD.pack(*shape.image, shape.classes, shape.size, largest, len(coded))
    return head + coded + rest


def from_bytes(data: bytes) -> SmallNetwork:
    """Return the network in bytes of ``to_bytes``, ready for use: weights as they are applied."""
    *image, classes, size, largest, length = HEAD.unpack_from(data)
    network = SmallNetwork(Shape((image[0], image[1], image[2]), classes, size), norm=False)
    weights, channels, layers = counts(network.shape)
    end = HEAD.size + length
    values = context.decode(data[HEAD.size : end], (weights,), _symbol_bits(largest))
    whole = _Reader(values.astype(np.int64) - largest)
    rest = _Reader(context.decode(data[end:], (2 * channels + layers,), SYMBOL_BITS))
    with torch.no_grad():
        for layer in network.layers():
            integers = whole.take(layer.weight.numel()).reshape(layer.weight.shape)
            outgoing = len(layer.weight)
            scale = _scales(rest.take(outgoing))
            layer.weight.copy_(_as_tensor(integers * scale[:, None, None, None]))
            unit = _scales(rest.take(1))
            assert layer.bias is not None
            biases = rest.take(outgoing).astype(np.int64) - LARGEST
            layer.bias.copy_(_as_tensor(biases * unit))
    return network.eval().requires_grad_(False)


def folded(layer: Layer) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Return integers of a layer's shape, a scale >= 0 and a bias for each channel.

    They do what the layer does: scale x integers is the weight with the batch norm in it. Where the
    training diverged, what is no number counts as 0.
    """
    whole, scale = layer.integers()
    integers = _array(whole).astype(np.int64)
    factor = _array(scale)
    if layer.norm is None:
        assert layer.bias is not None
        return integers, factor, _array(layer.bias)
    norm = layer.norm
    assert norm.running_mean is not None
    assert norm.running_var is not None
    gain = _array(norm.weight) / np.sqrt(_array(norm.running_var) + norm.eps)
    bias = _array(norm.bias) - _array(norm.running_mean) * gain
    sign = np.where(gain < 0, -1, 1)
    return integers * sign[:, None, None, None], factor * np.abs(gain), bias


def _scale_codes(scale: NDArray[np.float64]) -> Bytes:
    code = np.rint((np.log2(np.maximum(scale, 2.0**LOWEST)) - LOWEST) * OCTAVE)
    codes: Bytes = code.clip(0, 255).astype(np.uint8)
    return codes


def _scales(codes: Bytes) -> NDArray[np.float64]:
    return np.exp2(codes.astype(np.float64) / OCTAVE + LOWEST)


def _bias_codes(bias: NDArray[np.float64]) -> tuple[Bytes, Bytes]:
    """Return the code of the unit, one byte, and those of the biases."""
    least = float(np.abs(bias).max()) / LARGEST
    unit = np.ceil((np.log2(max(least, 2.0**LOWEST)) - LOWEST) * OCTAVE).clip(0, 255)
    code = np.array([unit], dtype=np.uint8)
    values = np.rint(bias / _scales(code)).clip(-LARGEST, LARGEST) + LARGEST
    return code, values.astype(np.uint8)


def _symbol_bits(largest: int) -> int:
    return (2 * largest).bit_length()


def _array(x: Tensor) -> NDArray[np.float64]:
    return np.nan_to_num(x.detach().cpu().numpy().astype(np.float64), posinf=0, neginf=0)


def _as_tensor(x: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(x.astype(np.float32))


class _Reader:
    """Takes values one part after the other."""

    def __init__(self, values: NDArray[Any]) -> None:
        self._values, self._at = values, 0

    def take(self, count: int) -> NDArray[Any]:
        self._at += count
        return self._values[self._at - count : self._at]
