"""The networks that learn from a file: that of its recipe, or one of another architecture."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..distill.convnet_grad import logits, loss_gradient
from ..distill.networks import ConvNet
from ..nn.narrow import keep_narrow_exact
from ..observers.networks import build, check_name, initialise
from ..runtime.rng import seeded


class Student(ABC):
    """A network with fresh weights.

    Attributes:
        parameters: what is learned, leaves that ask for gradients.
    """

    parameters: list[Tensor]

    @abstractmethod
    def gradients(
        self, x: Tensor, labels: Tensor, dtype: torch.dtype
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """Return the mean cross-entropy (0-d) and its gradients, one for each of ``parameters``.

        x are preprocessed images float32 (N, C, H, W), labels float32 (N, classes); ``dtype`` is
        that of activations.
        """

    @abstractmethod
    def logits(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """Return logits float (N, classes) of preprocessed images (N, C, H, W), for testing."""

    def finish(self) -> None:  # noqa: B027 (most networks have no other mode)
        """Go over to testing, where batch norm uses what it has gathered."""


class RecipeStudent(Student):
    """The ConvNet of the recipe, with instance norm, as one vector of parameters."""

    def __init__(self, net: ConvNet, random: torch.Generator, device: torch.device) -> None:
        self._net = net
        self._flat = net.init(random, device).requires_grad_()
        self.parameters = [self._flat]

    def gradients(
        self, x: Tensor, labels: Tensor, dtype: torch.dtype
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """Return loss and the gradient of the one vector."""
        tape = loss_gradient(self._net, self._flat.detach(), x, labels, dtype)
        return tape.loss, [tape.gradient]

    def logits(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """Return logits (N, classes)."""
        return logits(self._net, self._flat.detach(), x, dtype)


class OtherStudent(Student):
    """A network with batch norm, as observers are, for figures across architectures."""

    def __init__(
        self, architecture: str, net: ConvNet, random: torch.Generator, device: torch.device
    ) -> None:
        made = build(architecture, net.channels, net.height, net.width, net.classes)
        self._seed, self._step = int(torch.randint(2**62, (), generator=random)), 0
        initialise(made, random)
        keep_narrow_exact(made, net.channels, net.height, net.width)
        self._network = made.to(device).train()
        self.parameters = list(self._network.parameters())

    def gradients(
        self, x: Tensor, labels: Tensor, dtype: torch.dtype
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """Return loss and gradients, by autograd."""
        self._step += 1
        with seeded(x.device, self._seed, "student", self._step):  # dropout
            loss = F.cross_entropy(self._forward(x, dtype), labels)
        # Some networks have parts that only run when they are tested.
        found = torch.autograd.grad(loss, self.parameters, allow_unused=True)
        pairs = zip(found, self.parameters, strict=True)
        return loss.detach(), [torch.zeros_like(p) if g is None else g for g, p in pairs]

    def logits(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """Return logits (N, classes)."""
        with torch.no_grad():
            return self._forward(x, dtype)

    def _forward(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        with torch.autocast(x.device.type, torch.bfloat16, enabled=dtype == torch.bfloat16):
            found: Tensor = self._network(x)
        return found.float()

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
