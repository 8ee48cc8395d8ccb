"""The field's ConvNet as one flat parameter vector; ``convnet_grad`` computes with it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

CPU_PASS_BYTES, GPU_PASS_BYTES = 1 << 30, 1 << 31  # of numbers that a pass of both ways keeps


@dataclass(frozen=True)
class ConvNet:
    """Blocks of 3x3 convolution, instance norm, ReLU and 2x2 average pooling; a linear head.

    The architecture of the evaluation protocol of DSA, MTT, RaT-BPTT and PoDD (paper section
    5.1). The convolutions have no bias: before an instance norm its gradient is zero. All
    parameters lie in one flat vector, so an inner optimiser is a few operations on one tensor.

    A block pools only while the smaller side is at least 2. ``filters`` are its channels.
    """

    channels: int
    height: int
    width: int
    classes: int
    depth: int = 3
    filters: int = 128

    @cached_property
    def _shapes(self) -> list[tuple[int, ...]]:
        shapes: list[tuple[int, ...]] = []
        incoming, height, width = self.channels, self.height, self.width
        for _ in range(self.depth):
            shapes += [(self.filters, incoming, 3, 3), (self.filters,), (self.filters,)]
            incoming = self.filters
            if min(height, width) >= 2:
                height, width = height // 2, width // 2
        return [*shapes, (self.classes, incoming * height * width), (self.classes,)]

    @cached_property
    def _sizes(self) -> list[int]:
        return [math.prod(shape) for shape in self._shapes]

    @property
    def num_params(self) -> int:
        """Length of the flat parameter vector."""
        return sum(self._sizes)

    def tape_numbers(self, images: int) -> int:
        """Return about how many numbers both passes of one training step keep."""
        numbers, height, width = 0, self.height, self.width
        for _ in range(self.depth):
            numbers += 5 * images * self.filters * height * width
            height, width = max(1, height // 2), max(1, width // 2)
        return numbers

    def at_once(self, device: torch.device, dtype: torch.dtype) -> int:
        """Return how many images may pass at once, so that what both passes keep is bounded.

        The bound does not depend on what is free: sums of parts are rounded elsewhere.
        """
        most = CPU_PASS_BYTES if device.type == "cpu" else GPU_PASS_BYTES
        return max(1, most // (self.tape_numbers(1) * dtype.itemsize))

    def init(self, generator: torch.Generator, device: torch.device | str = "cpu") -> Tensor:
        """Return fresh parameters, float32 (num_params,).

        Weights are uniform within 1/sqrt(fan in), PyTorch's default for these layers; norms
        start at scale 1 and shift 0.
        """
        parts: list[Tensor] = []
        fan_in = 1
        for index, shape in enumerate(self._shapes):
            if len(shape) > 1:
                fan_in = math.prod(shape[1:])
            if len(shape) > 1 or index == len(self._shapes) - 1:
                uniform = torch.rand(math.prod(shape), generator=generator)
                parts.append((uniform * 2 - 1) / math.sqrt(fan_in))
            else:
                is_scale = index % 3 == 1
                parts.append(torch.ones(shape) if is_scale else torch.zeros(shape))
        return torch.cat(parts).to(device, non_blocking=True)

    def views(self, flat: Tensor) -> list[Tensor]:
        """Return the parameters in their shapes: weight, scale, shift a block; head, its bias."""
        parts = torch.split_with_sizes(flat, self._sizes)
        return [part.view(shape) for part, shape in zip(parts, self._shapes, strict=True)]
