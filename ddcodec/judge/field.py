"""The networks of the field that learn from a file, by name, each with a recipe of its own.

A file is made for one network; what it teaches others is told by these. The recipes were chosen
on held-out parts of training splits: ``docs/architectures.md`` has what was tried.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import nn

from ..errors import UsageError
from ..observers.build import build, check_name
from ..observers.networks import ARCHITECTURES
from .norms import with_norm
from .recipe import Recipe
from .transformer import Transformer

Make = Callable[[int, int, int, int], nn.Module]  # channels, height, width, classes

HIDDEN = 128  # of the MLP, as in the published code of Zhao et al. (arXiv 2006.05929)
# VGG's configuration A: filters of a convolution, 0 for pooling.
VGG11 = (64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0)


@dataclass(frozen=True)
class Way:
    """How a network learns from few samples; batches and augmentation are those of the file.

    Attributes:
        lr: the highest rate.
        steps: at least as many as this; the file's own number where that is more.
        weight_decay: apart from the gradient (AdamW), or of SGD.
        warmup: share of the steps in which the rate rises in a line; it falls by a cosine then.
        optimizer: ``adam``, ``adamw``, or ``sgd`` with momentum.
    """

    lr: float
    steps: int
    weight_decay: float = 0.0
    warmup: float = 0.1
    optimizer: str = "adam"

    def recipe(self, own: Recipe, steps: int | None = None) -> Recipe:
        """Return the recipe of a file changed to this way; ``steps`` comes before any other."""
        return replace(
            own,
            lr=self.lr,
            steps=steps or max(self.steps, own.steps),
            weight_decay=self.weight_decay,
            warmup=self.warmup,
            optimizer=self.optimizer,
            schedule="cosine",
        )


@dataclass(frozen=True)
class Student:
    """A network of the field: how it is built, its norm, how it learns."""

    make: Make
    norm: str
    way: Way


class MLP(nn.Sequential):
    """Two hidden layers of ``HIDDEN`` and ReLU."""

    def __init__(self, channels: int, height: int, width: int, classes: int) -> None:
        super().__init__(
            nn.Flatten(),
            nn.Linear(channels * height * width, HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, classes),
        )


class VGG(nn.Sequential):
    """VGG-11 (Simonyan and Zisserman, 2015) with batch norm and one linear layer as its head.

    It pools only while the smaller side is at least 2; the mean over places comes before the head.
    """

    def __init__(self, channels: int, height: int, width: int, classes: int) -> None:
        layers: list[nn.Module] = []
        side = min(height, width)
        for filters in VGG11:
            if filters:
                convolution = nn.Conv2d(channels, filters, 3, padding=1, bias=False)
                layers += [convolution, nn.BatchNorm2d(filters), nn.ReLU()]
                channels = filters
            elif side >= 2:
                layers.append(nn.MaxPool2d(2))
                side //= 2
        super().__init__(
            *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)
        )


def _normed(name: str, norm: str) -> Make:
    """Return the builder of an observer's network with another norm."""

    def make(channels: int, height: int, width: int, classes: int) -> nn.Module:
        return with_norm(ARCHITECTURES[name](channels, height, width, classes), norm)

    return make


_batch = partial(_normed, norm="batch")
STUDENTS: dict[str, Student] = {
    "convnet3": Student(_batch("convnet3"), "batch", Way(0.001, 200)),
    "convnet3-in": Student(_normed("convnet3", "instance"), "instance", Way(0.01, 200)),
    "convnet3-gn": Student(_normed("convnet3", "group"), "group", Way(0.003, 200)),
    "convnet4": Student(_batch("convnet4"), "batch", Way(0.001, 200)),
    "convnet4-in": Student(_normed("convnet4", "instance"), "instance", Way(0.003, 200)),
    "convnet4-gn": Student(_normed("convnet4", "group"), "group", Way(0.003, 200)),
    "resnet18": Student(_batch("resnet18"), "batch", Way(0.003, 200)),
    "resnet18-in": Student(_normed("resnet18", "instance"), "instance", Way(0.01, 200)),
    "vgg11": Student(VGG, "batch", Way(0.001, 200)),
    "mobilenetv2": Student(_batch("mobilenetv2"), "batch", Way(0.03, 200)),
    "vit": Student(Transformer, "layer", Way(0.001, 200)),
    "mlp": Student(MLP, "none", Way(0.001, 200)),
}
# These learn next to nothing from so few images, real ones too: only who names them gets them.
UNSETTLED = ("mobilenetv2",)
# Of a library's model, of which nothing is known.
ANY = Way(0.001, 200)
# The file's own network with plain SGD.
SGD = Way(0.1, 1, warmup=0.0, optimizer="sgd")


def check_student(name: str) -> None:
    """Raise UsageError for a name that ``student`` does not know.

    Raises MissingExtra where the library of a name is not there.
    """
    if ":" in name:
        check_name(name)
    elif name not in STUDENTS:
        known = ", ".join(STUDENTS)
        raise UsageError(
            f"unknown architecture '{name}'; known: {known}, timm:NAME, torchvision:NAME"
        )


def names_of(asked: str) -> list[str]:
    """Return the names in a list such as ``resnet18,vit`` or ``all``, each once.

    Raises as ``check_student`` does.
    """
    settled = [name for name in STUDENTS if name not in UNSETTLED]
    found: dict[str, None] = {}
    for name in map(str.strip, asked.split(",")):
        found |= dict.fromkeys(settled if name == "all" else [name])
    for name in found:
        check_student(name)
    return list(found)


def student(name: str, image: tuple[int, int, int], classes: int) -> nn.Module:
    """Return a network without weights, on the ``meta`` device; a library's with any weights.

    ``image`` is (channels, height, width). Raises as ``check_student`` does.
    """
    check_student(name)
    if name not in STUDENTS:
        return build(name, *image, classes)
    with torch.device("meta"):
        return STUDENTS[name].make(*image, classes)


def norm_of(name: str) -> str:
    """Return the norm of a network: batch, instance, group, layer or none; else ``own``."""
    return STUDENTS[name].norm if name in STUDENTS else "own"


def way_of(name: str) -> Way:
    """Return how a network learns."""
    return STUDENTS[name].way if name in STUDENTS else ANY
