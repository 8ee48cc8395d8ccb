"""The networks that learn from a file: that of its recipe, or one of another architecture."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from ..nn.workarounds import keep_narrow_exact
from ..observers.build import initialise
from .field import student
from .norms import ImageNorm, InstanceNorm
from .recipe import Recipe


class Halve(nn.Module):
    """2x2 average pooling; a last row or column without a partner is left out."""

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C, H / 2, W / 2), rounded down."""
        height, width = x.shape[2] // 2 * 2, x.shape[3] // 2 * 2
        halved: Tensor = _Mean.apply(x[:, :, :height, :width])  # type: ignore[no-untyped-call]
        return halved


class _Mean(torch.autograd.Function):
    """Means of 2x2 pixels of (N, C, H, W), both sides even.

    On a CPU both ways are faster than PyTorch's pooling. The way back through the slices of the way
    there would fill six tensors of zeros, about a tenth of the time of a student's step.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        rows = x[:, :, 0::2] + x[:, :, 1::2]
        return (rows[..., 0::2] + rows[..., 1::2]) * 0.25

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return (gradient * 0.25).repeat_interleave(2, 3).repeat_interleave(2, 2)


class ConvNet(nn.Module):
    """Blocks of 3x3 convolution, instance norm, ReLU and 2x2 average pooling; a linear head.

    The network of the papers' evaluation (PoDD, section 5.1): ``depth`` blocks of ``filters``
    channels. A block pools only while the smaller side is at least 2.
    """

    def __init__(
        self, image: tuple[int, int, int], classes: int, depth: int = 3, filters: int = 128
    ) -> None:
        super().__init__()
        channels, height, width = image
        layers: list[nn.Module] = []
        for _ in range(depth):
            # No bias: before an instance norm its gradient is zero.
            convolution = nn.Conv2d(channels, filters, 3, padding=1, bias=False)
            layers += [convolution, InstanceNorm(filters), nn.ReLU(inplace=True)]
            channels = filters
            if min(height, width) >= 2:
                layers.append(Halve())
                height, width = height // 2, width // 2
        self.blocks = nn.Sequential(*layers, nn.Flatten())
        self.head = nn.Linear(channels * height * width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, classes) of preprocessed images float (N, C, H, W)."""
        logits: Tensor = self.head(self.blocks(x))
        return logits


def fresh(recipe: Recipe, random: torch.Generator, architecture: str | None = None) -> nn.Module:
    """Return a network with new float32 weights on the CPU, all drawn from ``random``.

    ``architecture`` None is the ConvNet of the recipe, with weights uniform within 1/sqrt(fan in)
    and norms at scale 1 and shift 0. Else it is a name of ``field``, behind an ``ImageNorm``.
    Raises UsageError for an unknown name, MissingExtra where its library is not there.
    """
    if architecture is not None:
        made = student(architecture, recipe.image, recipe.classes)
        made = keep_narrow_exact(initialise(made, random), *recipe.image)
        return nn.Sequential(ImageNorm(), made)
    with torch.device("meta"):  # PyTorch's own initialisation would draw from the global generator
        network = ConvNet(recipe.image, recipe.classes, recipe.depth, recipe.filters)
    network.to_empty(device="cpu")
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.GroupNorm):
                module.reset_parameters()
            elif isinstance(module, nn.Conv2d | nn.Linear):
                bound = 1 / math.sqrt(module.weight[0].numel())
                for weight in module.parameters():
                    weight.uniform_(-bound, bound, generator=random)
    return network
