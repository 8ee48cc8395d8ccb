"""SGD with Nesterov's momentum that takes no memory beside gradients and momentum."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


class SGD:
    """The steps of ``torch.optim.SGD``, done in the gradients themselves.

    That one makes two more tensors of the size of each weight, most of a GB in a network whose
    first linear layer has a hundred million of them.

    Attributes:
        moved: momentum by the names of the weights, laid out as these.
    """

    def __init__(self, weights: Mapping[str, Tensor], momentum: float, decay: float) -> None:
        self._weights, self._momentum, self._decay = weights, momentum, decay
        self.moved = {name: torch.zeros_like(weight) for name, weight in weights.items()}

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Take a step with the gradients there are, and let them go."""
        names = [name for name, weight in self._weights.items() if weight.grad is not None]
        weights = [self._weights[name] for name in names]
        moved = [self.moved[name] for name in names]
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        if not names:
            return
        if self._decay:
            torch._foreach_add_(gradients, weights, alpha=self._decay)
        torch._foreach_mul_(moved, self._momentum)
        torch._foreach_add_(moved, gradients)
        torch._foreach_add_(gradients, moved, alpha=self._momentum)
        torch._foreach_add_(weights, gradients, alpha=-rate)
        for weight in weights:
            weight.grad = None
