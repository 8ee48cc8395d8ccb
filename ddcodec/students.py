"""The networks that learn from a file: that of its recipe, or one of another architecture."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from .distill.networks import ConvNet
from .observers.networks import build, check_name, initialise


class Student(ABC):
    """A network with fresh weights.

    Attributes:
        parameters: what is learned, leaves that ask for gradients.
    """

    parameters: list[Tensor]

    @abstractmethod
    def __call__(self, x: Tensor) -> Tensor:
        """Return logits (N, classes) of preprocessed images (N, C, H, W)."""

    def finish(self) -> None:  # noqa: B027 (most networks have no other mode)
        """Go over to testing, where batch norm uses what it has gathered."""


class RecipeStudent(Student):
    """The ConvNet of the recipe, with instance norm, as one vector of parameters."""

    def __init__(self, net: ConvNet, random: torch.Generator, device: torch.device) -> None:
        self._net = net
        self._flat = net.init(random, device).requires_grad_()
        self.parameters = [self._flat]

    def __call__(self, x: Tensor) -> Tensor:
        """Return logits (N, classes)."""
        return self._net(self._flat, x)


class OtherStudent(Student):
    """A network with batch norm, as observers are, for figures across architectures."""

    def __init__(
        self, architecture: str, net: ConvNet, random: torch.Generator, device: torch.device
    ) -> None:
        made = build(architecture, net.channels, net.height, net.width, net.classes)
        self._network = initialise(made, random).to(device).train()
        self.parameters = list(self._network.parameters())

    def __call__(self, x: Tensor) -> Tensor:
        """Return logits (N, classes)."""
        logits: Tensor = self._network(x)
        return logits

    def finish(self) -> None:
        """Use the statistics that were gathered while learning."""
        self._network.eval()


def check_architecture(name: str | None) -> None:
    """Raise UsageError for a name that ``fresh`` does not know."""
    if name is not None:
        check_name(name)


def fresh(
    architecture: str | None, net: ConvNet, random: torch.Generator, device: torch.device
) -> Student:
    """Return a student: ``architecture`` None is that of the recipe, ``net``.

    Raises UsageError for an unknown architecture.
    """
    if architecture is None:
        return RecipeStudent(net, random, device)
    return OtherStudent(architecture, net, random, device)
