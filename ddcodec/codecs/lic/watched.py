"""What a network gives inside for some images, seen while they pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from ...observers.networks import SEEN_PIXELS

Look = Callable[[nn.Module, tuple[Any, ...], Tensor], None]


def pass_watched(network: nn.Module, parts: Iterable[nn.Module], x: Tensor, look: Look) -> None:
    """Pass images float32 (n, C, H, W) through a network, some at a time.

    ``look`` is told of each of its ``parts``, what went in (a tuple) and what came out.
    """
    hooks = [part.register_forward_hook(look) for part in parts]
    try:
        with torch.no_grad():
            for some in torch.split(x, max(1, SEEN_PIXELS // (x.shape[2] * x.shape[3]))):
                network(some)
    finally:
        for hook in hooks:
            hook.remove()
