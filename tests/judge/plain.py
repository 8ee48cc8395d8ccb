"""The judge's network on the engine's flat parameters: plain autograd, the reference."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call

from ddcodec.distill.networks import ConvNet as FlatNet
from ddcodec.judge.networks import ConvNet


def judge_like(net: FlatNet) -> ConvNet:
    """Return the judge's network of this architecture, without weights."""
    with torch.device("meta"):
        image = net.channels, net.height, net.width
        return ConvNet(image, net.classes, net.depth, net.filters)


def plain(net: FlatNet, flat: Tensor, x: Tensor) -> Tensor:
    """Return logits (N, classes) of images (N, C, H, W), differentiable in both."""
    module = judge_like(net)
    names = [name for name, _ in module.named_parameters()]
    logits: Tensor = functional_call(module, dict(zip(names, net.views(flat), strict=True)), (x,))
    return logits


def plain_features(net: FlatNet, flat: Tensor, x: Tensor) -> Tensor:
    """Return the head's inputs (N, F)."""
    blocks = judge_like(net).blocks
    names = [name for name, _ in blocks.named_parameters()]
    found: Tensor = functional_call(blocks, dict(zip(names, net.views(flat)[:-2], strict=True)), x)
    return found


def soft_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy of logits (N, n) against soft labels (N, n)."""
    return -(labels * F.log_softmax(logits, 1)).sum(1).mean()
