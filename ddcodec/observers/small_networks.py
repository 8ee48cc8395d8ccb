"""Small classifiers whose weights are integers times a scale for each output channel.

One shape, narrow or wide: a 3x3 convolution, three residual blocks of two 3x3 convolutions with
batch norm (He et al., arXiv 1512.03385) at 1, 1/2 and 1/4 of the side, the mean over places and a
linear layer. It is narrow by its bytes alone: an observer ``residual-SIZE``, and the baseline of
``evaluate.quantised``.

Weights learn to be rounded: forward they are whole multiples of a step, backward the gradient goes
through as if they were not (Bengio et al., arXiv 1308.3432). The step is a share of the root mean
square of the channel's weights. Of all distributions of one variance the normal has the largest
entropy, so the share alone bounds the bits that a weight takes under an entropy coder.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .networks import Observer

NAME = re.compile(r"residual-([1-9][0-9]{0,2})")
LARGEST_SIZE = 200  # about 110 kB at 3 bits; above, a network would take many minutes of a core
LARGEST = 127  # of the integers
SIDE = 16  # pixels of the first block; larger images are reduced to 16 to 31 by the stem
NORMAL = math.sqrt(2 * math.pi * math.e)  # 2^entropy of a normal distribution of deviation 1


def step_for(bits: float) -> float:
    """Return the step, in deviations of a weight, at which a weight takes about ``bits`` bits."""
    return NORMAL / 2**bits


@dataclass(frozen=True)
class Shape:
    """What a network is but for its weights.

    Attributes:
        image: (channels, height, width).
        classes: outputs.
        size: twice the channels of the last block; the others have 1/2 and 3/4 of them.
    """

    image: tuple[int, int, int]
    classes: int
    size: int

    @property
    def widths(self) -> tuple[int, int, int]:
        """Channels of the three blocks."""
        return (self.size + 2) // 4 or 1, (3 * self.size + 4) // 8 or 1, (self.size + 1) // 2


class Layer(nn.Module):
    """A convolution or a linear layer without bias, and a batch norm or a bias behind it.

    ``step`` 0 leaves the weights as they are; else they are rounded (see the top of this module).
    """

    def __init__(self, incoming: int, outgoing: int, kernel: int, stride: int, norm: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outgoing, incoming, kernel, kernel))
        self.norm = nn.BatchNorm2d(outgoing) if norm else None
        self.bias = None if norm else nn.Parameter(torch.zeros(outgoing))
        self.stride, self.step = stride, 0.0

    def begin(self, random: torch.Generator) -> None:
        """Draw new weights, normal, of variance 2 / fan in; a norm or bias begins anew."""
        with torch.no_grad():
            deviation = math.sqrt(2 / self.weight[0].numel())
            self.weight.normal_(0, deviation, generator=random)
            if self.bias is not None:
                self.bias.zero_()
        if self.norm is not None:
            self.norm.reset_parameters()

    def integers(self) -> tuple[Tensor, Tensor]:
        """Return the weights as integers (float32, in -127..127) and the scale of each channel."""
        weight = self.weight.detach()
        scale = weight.square().mean((1, 2, 3)).sqrt().clamp(min=1e-12) * self.step
        whole = (weight / scale[:, None, None, None]).round().clamp(-LARGEST, LARGEST)
        return whole, scale

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, outgoing, h, w) of images (N, incoming, H, W)."""
        weight: Tensor = self.weight
        if self.step:
            whole, scale = self.integers()
            weight = weight + (whole * scale[:, None, None, None] - weight).detach()
        padding = self.weight.shape[-1] // 2
        x = F.conv2d(x, weight, self.bias, self.stride, padding)
        return x if self.norm is None else self.norm(x)


class Block(nn.Module):
    """Two convolutions and, around them, their input or a 1x1 convolution of it."""

    def __init__(self, incoming: int, outgoing: int, stride: int, norm: bool) -> None:
        super().__init__()
        self.first = Layer(incoming, outgoing, 3, stride, norm)
        self.second = Layer(outgoing, outgoing, 3, 1, norm)
        same = incoming == outgoing and stride == 1
        self.around = None if same else Layer(incoming, outgoing, 1, stride, norm)

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output for (N, incoming, H, W)."""
        around = x if self.around is None else self.around(x)
        return F.relu(self.second(F.relu(self.first(x))) + around)


class SmallNetwork(Observer):
    """The network of a ``Shape``; without ``norm`` biases stand in place of batch norms.

    Its last block is compared. ``step`` is that of all layers.
    """

    def __init__(self, shape: Shape, norm: bool = True) -> None:
        nn.Module.__init__(self)
        self.architecture = f"residual-{shape.size}"
        self.shape, self.step = shape, 0.0
        one, two, three = shape.widths
        channels, height, width = shape.image
        side = min(height, width)
        self.stem = Layer(channels, one, 3, 2 if side >= 2 * SIDE else 1, norm)
        # A power of two, as a file has no other pooling.
        self.pool = 1 << (max(1, side // (2 * SIDE)).bit_length() - 1)
        self.blocks = nn.ModuleList(
            [Block(one, one, 1, norm), Block(one, two, 2, norm), Block(two, three, 2, norm)]
        )
        self.deep = len(self.blocks) - 1
        self.head = Layer(three, shape.classes, 1, 1, False)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, classes) of images float (N, C, H, W)."""
        logits: Tensor = self.head(self.features(x).mean((2, 3), keepdim=True))[:, :, 0, 0]
        return logits

    def features(self, x: Tensor) -> Tensor:
        """Return the output (N, F, h, w) of the last block."""
        x = F.relu(self.stem(x))
        if self.pool > 1:
            x = F.avg_pool2d(x, self.pool)
        for block in self.blocks:
            x = block(x)
        return x

    def layers(self) -> Iterator[Layer]:
        """Give the layers in the order in which they are written down."""
        return (module for module in self.modules() if isinstance(module, Layer))

    def begin(self, random: torch.Generator) -> None:
        """Draw new weights, all from ``random``."""
        for layer in self.layers():
            layer.begin(random)

    def round_to(self, step: float) -> None:
        """Round all weights from here on to multiples of ``step`` deviations; 0: not at all."""
        self.step = step
        for layer in self.layers():
            layer.step = step


def size_of(architecture: str) -> int | None:
    """Return the size in a name such as ``residual-42``, None where it names no such network."""
    match = NAME.fullmatch(architecture)
    size = 0 if match is None else int(match[1])
    return size if 1 <= size <= LARGEST_SIZE else None
