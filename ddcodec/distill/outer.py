"""The outer optimiser: Adam on the distilled variables, gradient clipping, annealing."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

FINAL = 0.02  # share of a rate that is left at the end of a stage


class OuterAdam:
    """Adam over a few tensors, changed in place, with one learning rate each.

    Not ``torch.optim.Adam``, which rounds elsewhere: files of a seed would be other files.
    """

    def __init__(
        self, tensors: Sequence[Tensor], rates: Sequence[float], betas: tuple[float, float]
    ) -> None:
        self._tensors, self._rates, self._betas = list(tensors), list(rates), betas
        self._m = [torch.zeros_like(t) for t in self._tensors]
        self._v = [torch.zeros_like(t) for t in self._tensors]
        self._count = 0

    def step(self, gradients: Sequence[Tensor], scale: float = 1.0) -> None:
        """Move every tensor by its learning rate times ``scale``."""
        b1, b2 = self._betas
        self._count += 1
        t = self._count
        for i, gradient in enumerate(gradients):
            m = self._m[i].mul_(b1).add_(gradient, alpha=1 - b1)
            v = self._v[i].mul_(b2).addcmul_(gradient, gradient, value=1 - b2)
            root = (v / (1 - b2**t)).sqrt_().add_(1e-8)
            rate = self._rates[i] * scale / (1 - b1**t)
            self._tensors[i].addcdiv_(m, root, value=-rate)

    def tensors(self) -> dict[str, Tensor]:
        """Return the moments and the counter for a checkpoint."""
        state = {"outer.count": torch.tensor(self._count)}
        for i, (m, v) in enumerate(zip(self._m, self._v, strict=True)):
            state[f"outer.m{i}"] = m.clone()
            state[f"outer.v{i}"] = v.clone()
        return state

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take the moments and the counter back."""
        self._count = int(tensors["outer.count"])
        for i, (m, v) in enumerate(zip(self._m, self._v, strict=True)):
            m.copy_(tensors[f"outer.m{i}"])
            v.copy_(tensors[f"outer.v{i}"])


class EmaClip:
    """Clip a gradient to twice the running mean of its norm (the method's own clipping).

    ``mean = .9 mean + .1 norm``, then the gradient is scaled down to at most ``2 mean``.
    """

    def __init__(self) -> None:
        self.mean: Tensor | None = None

    def __call__(self, gradient: Tensor) -> Tensor:
        """Return the clipped gradient; a 0-d tensor does all the work, so nothing waits for it."""
        norm: Tensor = torch.linalg.vector_norm(gradient)
        self.mean = norm if self.mean is None else 0.9 * self.mean + 0.1 * norm
        return gradient * (2 * self.mean / norm.clamp_min(1e-30)).clamp_max(1.0)


def falling(step: int, total: int, decay: float) -> float:
    """Return the factor of ``step`` in 0..total: 1, and over the last ``decay`` down to ``FINAL``.

    It falls as a half cosine. A ``decay`` of 0 keeps the rates, 1 lets them fall from the start.
    """
    begin = (1 - decay) * total
    if decay == 0 or step <= begin:
        return 1.0
    done = (step - begin) / (total - begin)
    return FINAL + (1 - FINAL) * 0.5 * (1 + math.cos(math.pi * done))
