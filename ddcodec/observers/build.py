"""An observer by the name of its architecture, ours or a library's, with fresh weights."""

from __future__ import annotations

import math
from typing import TypeVar

import torch
from torch import nn

from ..errors import UsageError
from .networks import ARCHITECTURES, Observer
from .small_networks import LARGEST_SIZE, Shape, SmallNetwork, size_of
from .zoo import LibraryObserver, check_there

# Deviation of embeddings: places weigh more than patches from the first step. With the usual 0.02
# they are never learned from few samples: 16 in place of 46 % on digits (docs/architectures.md).
EMBEDDED = 0.3
Network = TypeVar("Network", bound=nn.Module)


def build(architecture: str, channels: int, height: int, width: int, classes: int) -> Observer:
    """Return an observer on the ``meta`` device: shapes without memory or random numbers.

    A model of a library (``timm:NAME``, ``torchvision:NAME``) lies on the CPU with any weights.
    ``initialise`` gives fresh ones. Raises UsageError for an unknown architecture, MissingExtra
    where its library is not there.
    """
    check_name(architecture)
    if ":" in architecture:
        return LibraryObserver(architecture, channels, height, width, classes)
    with torch.device("meta"):
        if (size := size_of(architecture)) is not None:
            return SmallNetwork(Shape((channels, height, width), classes, size))
        return ARCHITECTURES[architecture](channels, height, width, classes)


def check_name(architecture: str) -> None:
    """Raise UsageError for a name that ``build`` does not know."""
    if ":" in architecture:
        check_there(architecture)
    elif not is_own(architecture):
        known = ", ".join(ARCHITECTURES)
        raise UsageError(
            f"unknown architecture '{architecture}'; known: {known}, residual-N (N from 1 to "
            f"{LARGEST_SIZE}), timm:NAME, torchvision:NAME"
        )


def is_own(architecture: str) -> bool:
    """Say whether a name is that of a network that needs no library."""
    return architecture in ARCHITECTURES or size_of(architecture) is not None


def initialise(network: Network, generator: torch.Generator) -> Network:
    """Give a network without weights, as ``build`` makes it, fresh ones on the CPU and return it.

    Convolutions are normal with variance 2 / fan out (He et al., 2015), linear layers uniform
    within 1 / sqrt(fan in), biases of convolutions 0, embeddings normal; norms start at scale 1 and
    shift 0. A library has ways of its own, and so has a ``SmallNetwork``.
    """
    if isinstance(network, LibraryObserver):
        network.begin(generator)
        return network
    network.to_empty(device="cpu")
    if isinstance(network, SmallNetwork):
        network.begin(generator)
        return network
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                fan_out = module.out_channels * math.prod(module.kernel_size) // module.groups
                module.weight.normal_(0, math.sqrt(2 / fan_out), generator=generator)
                if module.bias is not None:
                    module.bias.zero_()
            elif isinstance(module, nn.Linear):
                bound = 1 / math.sqrt(module.in_features)
                module.weight.uniform_(-bound, bound, generator=generator)
                module.bias.uniform_(-bound, bound, generator=generator)
            elif isinstance(module, nn.Embedding):
                module.weight.normal_(0, EMBEDDED, generator=generator)
            elif isinstance(module, nn.BatchNorm2d | nn.GroupNorm | nn.LayerNorm):
                module.reset_parameters()
    return network
