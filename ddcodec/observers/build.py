"""An observer by the name of its architecture, ours or a library's, with fresh weights."""

from __future__ import annotations

import math

import torch
from torch import nn

from ..errors import UsageError
from .networks import ARCHITECTURES, Observer
from .zoo import LibraryObserver, check_there


def build(architecture: str, channels: int, height: int, width: int, classes: int) -> Observer:
    """Return an observer on the ``meta`` device: shapes without memory or random numbers.

    A model of a library (``timm:NAME``, ``torchvision:NAME``) lies on the CPU with any weights.
    ``initialise`` gives fresh ones. Raises UsageError for an unknown architecture, MissingExtra
    where its library is not there.
    """
    check_name(architecture)
    if architecture not in ARCHITECTURES:
        return LibraryObserver(architecture, channels, height, width, classes)
    with torch.device("meta"):
        return ARCHITECTURES[architecture](channels, height, width, classes)


def check_name(architecture: str) -> None:
    """Raise UsageError for a name that ``build`` does not know."""
    if ":" in architecture:
        check_there(architecture)
    elif architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise UsageError(
            f"unknown architecture '{architecture}'; known: {known}, timm:NAME, torchvision:NAME"
        )


def initialise(observer: Observer, generator: torch.Generator) -> Observer:
    """Give an observer from ``build`` fresh weights on the CPU and return it.

    Convolutions are normal with variance 2 / fan out (He et al., 2015), the head is uniform
    within 1 / sqrt(fan in), norms start at scale 1 and shift 0. A library has ways of its own.
    """
    if isinstance(observer, LibraryObserver):
        observer.begin(generator)
        return observer
    observer.to_empty(device="cpu")
    with torch.no_grad():
        for module in observer.modules():
            if isinstance(module, nn.Conv2d):
                fan_out = module.out_channels * math.prod(module.kernel_size) // module.groups
                module.weight.normal_(0, math.sqrt(2 / fan_out), generator=generator)
            elif isinstance(module, nn.Linear):
                bound = 1 / math.sqrt(module.in_features)
                module.weight.uniform_(-bound, bound, generator=generator)
                module.bias.uniform_(-bound, bound, generator=generator)
            elif isinstance(module, nn.BatchNorm2d):
                module.reset_parameters()
    return observer
