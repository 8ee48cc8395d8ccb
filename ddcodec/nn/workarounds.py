"""Faults of other libraries that this package works around, each in a function of its own."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import MethodType

import torch
from torch import Tensor, library, nn

OPERATORS = ("nms", "qnms")
SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"  # of both


def make_torchvision_importable() -> None:
    """Let torchvision be imported where its compiled extension does not load beside this torch.

    A wheel that was built against another torch (the registry's, beside a CPU build) still
    registers fake kernels for two operators of that extension, so its import fails with "operator
    torchvision::nms does not exist". Declaring the two first is enough for everything that is
    plain Python there; nothing here calls them. Does nothing where torchvision is absent or
    imports as it is.
    """
    if importlib.util.find_spec("torchvision") is None:
        return
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        # The failed import leaves submodules behind; the next one has to begin anew.
        for name in [m for m in sys.modules if m.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        for operator in OPERATORS:
            if not hasattr(torch.ops.torchvision, operator):
                library.define(f"torchvision::{operator}", SCHEMA)


def keep_narrow_exact(network: nn.Module, channels: int, height: int, width: int) -> nn.Module:
    """Let convolutions that stride over narrower maps compute in float32 under autocast.

    On processors with AMX, PyTorch 2.13 (oneDNN) leaves parts of their weights' gradient in
    bfloat16 unwritten: whatever lay in memory becomes a step of training. Networks made for large
    images meet this on small ones, where their last maps are one pixel wide. A map that is only too
    low comes out right. Shapes come from one image (channels, height, width) sent through.
    Returns ``network``.
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
