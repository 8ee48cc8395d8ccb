"""One training step on distilled images: its gradient, and what it passes back when unrolled.

Large images pass through the network in parts, so that memory is bounded however many patches a
step has; gradients of parts are added up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..nn.augment import augment
from ..nn.warp import WARPS, draw, warp, warp_back
from ..runtime.rng import generator
from .convnet_grad import Tape, loss_gradient, mixed_product
from .networks import ConvNet

BETAS = (0.9, 0.999)  # of the inner Adam


@dataclass(frozen=True)
class Drawn:
    """All that differs between the steps of a run, as tensors: a recorded run reads it again.

    Attributes:
        rates: of every Adam step, as ``InnerLoop.rates`` gives them, float (steps, 2).
        maps: of distilled images (steps, N, 2, 3), or None where they are not augmented.
        real_maps: of real images (B, 2, 3), or None.
    """

    rates: Tensor
    maps: Tensor | None = None
    real_maps: Tensor | None = None


@dataclass(frozen=True)
class InnerLoop:
    """The inner training run.

    Attributes:
        lr: Adam's.
        augment: of distilled and of real images, a name in ``augment.AUGMENTATIONS``.
        seed: keys the augmentations, which are drawn again alike on the way back.
        real_chunk: real images at once, or fewer where they are large (``ConvNet.at_once``).
        kept_bytes: keep the passes of steps up to this estimate of their size.
        dtype: of convolutions and activations; None is that of the parameters.
        drawn: what ``seed`` and the number of a step would give otherwise. States then count
            steps from its first row.
    """

    lr: float
    augment: str = "none"
    seed: int = 0
    real_chunk: int = 500
    kept_bytes: int = 1 << 30
    dtype: torch.dtype | None = None
    drawn: Drawn | None = None

    def rates(self, steps: int) -> tuple[Tensor | float, Tensor | float]:
        """Return the rate of Adam's step number ``steps`` and the factor of its second moment.

        Both hold the correction of a moment's start at zero. They are computed in double and only
        multiplied with, so that numbers and tensors of them give the same bits.
        """
        if self.drawn is not None:
            rate, factor = self.drawn.rates[steps - 1].unbind()
            return rate, factor
        return self.lr / (1 - BETAS[0] ** steps), 1 / (1 - BETAS[1] ** steps)


@dataclass
class InnerStep:
    """The passes of one step on a batch.

    Attributes:
        net, flat: the network and its parameters (num_params,).
        images: as augmented, float (B, C, h, w); labels: float (B, n).
        dtype: of convolutions and activations.
        to_patches: takes a gradient of ``images`` to one of what they were before.
        tapes: both passes of every part, where they are kept.
    """

    net: ConvNet
    flat: Tensor
    images: Tensor
    labels: Tensor
    dtype: torch.dtype | None
    to_patches: Callable[[Tensor], Tensor]
    tapes: list[Tape] = field(default_factory=list)

    @classmethod
    def of(
        cls, net: ConvNet, flat: Tensor, x: Tensor, y: Tensor, step: int, inner: InnerLoop
    ) -> InnerStep:
        """Return step number ``step`` of an inner run, on images x (B, C, h, w)."""
        images, to_patches = _augmented(x, step, inner)
        return cls(net, flat, images, y, inner.dtype, to_patches)

    def gradient(self, keep: bool = False) -> Tensor:
        """Return the gradient (num_params,); ``keep`` the passes for ``back``."""
        total: Tensor | None = None
        for part in self._parts():
            tape = self._tape(part)
            if keep:
                self.tapes.append(tape)
            # Of one part nothing is multiplied or added: its bits are those of the whole.
            mine = tape.gradient * self._share(part)
            total = mine if total is None else total.add_(mine)
        assert total is not None
        return total

    def back(self, direction: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the derivative of <gradient, direction> in parameters, patches and labels.

        ``direction`` is (num_params,). Passes that were not kept are made again, to the same bits.
        """
        to_flat: Tensor | None = None
        to_images, to_labels = [], []
        for index, part in enumerate(self._parts()):
            tape = self.tapes[index] if self.tapes else self._tape(part)
            flat, *rest = mixed_product(tape, direction * self._share(part))
            to_flat = flat if to_flat is None else to_flat.add_(flat)
            to_images.append(rest[0])
            to_labels.append(rest[1])
        assert to_flat is not None
        return to_flat, self.to_patches(torch.cat(to_images)), torch.cat(to_labels)

    def _parts(self) -> Iterator[slice]:
        size = self.net.at_once(self.images.device, self.dtype or self.flat.dtype)
        return (slice(start, start + size) for start in range(0, len(self.images), size))

    def _share(self, part: slice) -> float:
        return len(self.labels[part]) / len(self.labels)

    def _tape(self, part: slice) -> Tape:
        return loss_gradient(self.net, self.flat, self.images[part], self.labels[part], self.dtype)


def _augmented(x: Tensor, step: int, inner: InnerLoop) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Return the images of a step and the way back from their gradient to that of x."""
    name = inner.augment
    if name == "none":
        return x, lambda to: to
    g = generator(inner.seed, "augment", step)
    if inner.drawn is None:
        maps = maps_of(name, x, g)
    else:
        assert inner.drawn.maps is not None
        maps = inner.drawn.maps[step]
    if maps is not None:
        return warp(x, maps), lambda to: warp_back(to, maps)
    leaf = x.detach().requires_grad_()
    after = augment(leaf, name, g)
    return after.detach(), lambda to: torch.autograd.grad(after, leaf, to)[0]


def maps_of(name: str, x: Tensor, g: torch.Generator) -> Tensor | None:
    """Return by what an augmentation moves the pixels of x, or None where ``augment`` does it.

    That is faster on the CPU; elsewhere its derivatives are added up in no fixed order.
    """
    if name not in WARPS or x.device.type == "cpu":
        return None
    return draw(name, x.shape, g).to(x.device, non_blocking=True)
