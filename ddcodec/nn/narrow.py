"""Convolutions that stride over maps narrower than their stride, kept out of bfloat16."""

from __future__ import annotations

from types import MethodType

import torch
from torch import Tensor, nn


def keep_narrow_exact(network: nn.Module, channels: int, height: int, width: int) -> nn.Module:
    """Let such convolutions of ``network`` compute in float32 under autocast; return it.

    On processors with AMX, PyTorch 2.13 (oneDNN) leaves parts of their weights' gradient in
    bfloat16 unwritten: whatever lay in memory becomes a step of training. Networks made for large
    images meet this on small ones, where their last maps are one pixel wide. A map that is only too
    low comes out right. Shapes come from one image (channels, height, width) sent through.
    """
    narrow: list[nn.Conv2d] = []

    def look(module: nn.Conv2d, inputs: tuple[Tensor, ...]) -> None:
        if module.stride[1] > inputs[0].shape[-1]:
            narrow.append(module)

    found = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    hooks = [module.register_forward_pre_hook(look) for module in found]
    learning = network.training
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(1, channels, height, width))
    finally:
        network.train(learning)
        for hook in hooks:
            hook.remove()
    for module in set(narrow):
        # A method, not a closure: a copy of the network computes with the weights of the copy.
        module.forward = MethodType(_exact_forward, module)  # type: ignore[method-assign]
    return network


def _exact_forward(module: nn.Conv2d, x: Tensor) -> Tensor:
    with torch.autocast(x.device.type, enabled=False):
        return type(module).forward(module, x.float())
