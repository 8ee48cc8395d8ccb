"""The networks that a file may hold to label its own images: their layers, without weights.

A closed list (specification, section 8.3.1). A network is a tuple of steps over integers; the units
among them have weights, stored in the order in which ``units`` gives them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

WIDTH = 128  # filters of every block of a ConvNet
SMALL_SIDE = 64  # pixels; up to here the stems of the deep networks do not reduce
MOBILE_STAGES = (  # expansion, filters, repeats, stride (Sandler et al., 2018, table 2)
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)

RESIDUAL = "residual"  # the small one, of a ``size``
LARGEST_SIZE = 200
STEM_SIDE = 32  # pixels; from here on the stem of the small one reduces

End = Literal["relu", "signed", "logits"]
Pooling = Literal["pool2", "max3", "sum"]


@dataclass(frozen=True)
class Unit:
    """A convolution, or with ``kernel`` 0 a linear layer over all that comes in.

    Sums become integers from 0 to 65535 (``relu``), from -32768 to 32767 (``signed``), or stay as
    they are (``logits``).
    """

    filters: int  # outputs, each with a row (a, b) of ``label_affine``
    incoming: int  # channels that a filter sees
    kernel: int  # odd side, padded by half of it
    stride: int = 1
    groups: int = 1  # of channels
    end: End = "relu"

    @property
    def weights(self) -> int:
        return self.filters * self.incoming * max(1, self.kernel) ** 2


@dataclass(frozen=True)
class Residual:
    """The body's integers plus those of the shortcut; ``shortcut`` None has one row (a, b)."""

    body: tuple[Unit, ...]
    shortcut: Unit | None
    relu: bool


Step = Unit | Residual | Pooling
Network = tuple[Step, ...]


def network(
    architecture: str, channels: int, height: int, width: int, classes: int, size: int = 0
) -> Network:
    """Return the steps of a key of ``ARCHITECTURES``, or of ``residual`` of a size."""
    if architecture == RESIDUAL:
        return tuple(_residual(channels, height, width, classes, size))
    return tuple(ARCHITECTURES[architecture](channels, height, width, classes))


def network_of(labels: dict[str, Any], image: dict[str, Any], classes: int) -> Network:
    """Return the steps that ``labels`` and ``image`` of a manifest state."""
    shape = (image["channels"], image["height"], image["width"])
    return network(labels["architecture"], *shape, classes, labels.get("size", 0))


def taken_apart(architecture: str) -> tuple[str, int]:
    """Return the architecture and the size, 0 for none, of an observer's: ``residual-42``."""
    name, _, size = architecture.partition("-")
    return (name, int(size)) if name == RESIDUAL else (architecture, 0)


def name_of(labels: Mapping[str, Any]) -> str:
    """Return the name of the network in a file, put together again, from ``labels``."""
    size = f"-{labels['size']}" if "size" in labels else ""
    return f"{labels['architecture']}{size}"


def units(steps: Network) -> Iterator[Unit | None]:
    """Give the units in the order in which they are stored; None is a shortcut without weights."""
    for step in steps:
        if isinstance(step, Unit):
            yield step
        elif isinstance(step, Residual):
            yield from step.body
            yield step.shortcut


def stored_sizes(steps: Network) -> tuple[int, int]:
    """Return how many weights and how many rows (a, b) are stored."""
    found = list(units(steps))
    weights = sum(unit.weights for unit in found if unit is not None)
    return weights, sum(1 if unit is None else unit.filters for unit in found)


def costs(steps: Network, channels: int, height: int, width: int) -> tuple[int, int]:
    """Return the multiplications for an image, and the values of its widest layer, unfolded."""
    total, widest = 0, channels * height * width
    for step in steps:
        if isinstance(step, str):
            half = (height // 2, width // 2), (-(-height // 2), -(-width // 2))
            height, width = {"sum": (1, 1), "pool2": half[0], "max3": half[1]}[step]
            continue
        branches: list[tuple[Unit, ...]] = [(step,)] if isinstance(step, Unit) else [step.body]
        if isinstance(step, Residual) and step.shortcut is not None:
            branches.append((step.shortcut,))
        for branch in branches:
            h, w = height, width
            for unit in branch:
                h, w = -(-h // unit.stride), -(-w // unit.stride)
                places = h * w if unit.kernel else 1
                total += unit.weights * places
                seen = unit.incoming * unit.groups * max(1, unit.kernel) ** 2
                widest = max(widest, seen * places, unit.filters * places)
        height, width = h, w
    return total, widest


def _convnet(depth: int) -> Callable[[int, int, int, int], list[Step]]:
    def make(channels: int, height: int, width: int, classes: int) -> list[Step]:
        steps: list[Step] = []
        for _ in range(depth):
            steps.append(Unit(WIDTH, channels, 3))
            channels = WIDTH
            if min(height, width) >= 2:
                steps.append("pool2")
                height, width = height // 2, width // 2
        return [*steps, Unit(classes, WIDTH * height * width, 0, end="logits")]

    return make


def _resnet18(channels: int, height: int, width: int, classes: int) -> list[Step]:
    steps: list[Step] = [Unit(64, channels, 3)]
    if max(height, width) > SMALL_SIDE:
        steps = [Unit(64, channels, 7, 2), "max3"]
    incoming = 64
    for stage, filters in enumerate((64, 128, 256, 512)):
        for stride in (1 if stage == 0 else 2, 1):
            body = (Unit(filters, incoming, 3, stride), Unit(filters, filters, 3, end="signed"))
            same = incoming == filters and stride == 1
            shortcut = None if same else Unit(filters, incoming, 1, stride, end="signed")
            steps.append(Residual(body, shortcut, relu=True))
            incoming = filters
    return [*steps, "sum", Unit(classes, 512, 0, end="logits")]


def _mobilenetv2(channels: int, height: int, width: int, classes: int) -> list[Step]:
    small = max(height, width) <= SMALL_SIDE
    steps: list[Step] = [Unit(32, channels, 3, 1 if small else 2)]
    incoming = 32
    for stage, (expansion, filters, repeats, usual) in enumerate(MOBILE_STAGES):
        first = 1 if small and stage == 1 else usual
        for repeat in range(repeats):
            stride = first if repeat == 0 else 1
            hidden = incoming * expansion
            body: list[Unit] = [Unit(hidden, incoming, 1)] if expansion > 1 else []
            body.append(Unit(hidden, 1, 3, stride, groups=hidden))
            body.append(Unit(filters, hidden, 1, end="signed"))
            if stride == 1 and incoming == filters:
                steps.append(Residual(tuple(body), None, relu=False))
            else:
                steps += body
            incoming = filters
    return [*steps, Unit(1280, 320, 1), "sum", Unit(classes, 1280, 0, end="logits")]


def _residual(channels: int, height: int, width: int, classes: int, size: int) -> list[Step]:
    filters = (max(1, (size + 2) // 4), max(1, (3 * size + 4) // 8), (size + 1) // 2)
    side = min(height, width)
    steps: list[Step] = [Unit(filters[0], channels, 3, 2 if side >= STEM_SIDE else 1)]
    steps += ["pool2"] * max(0, (side // STEM_SIDE).bit_length() - 1)
    incoming = filters[0]
    for stride, own in zip((1, 2, 2), filters, strict=True):
        body = (Unit(own, incoming, 3, stride), Unit(own, own, 3, end="signed"))
        same = own == incoming and stride == 1
        shortcut = None if same else Unit(own, incoming, 1, stride, end="signed")
        steps.append(Residual(body, shortcut, relu=True))
        incoming = own
    return [*steps, "sum", Unit(classes, incoming, 0, end="logits")]


ARCHITECTURES: dict[str, Callable[[int, int, int, int], list[Step]]] = {
    "convnet3": _convnet(3),
    "convnet4": _convnet(4),
    "resnet18": _resnet18,
    "mobilenetv2": _mobilenetv2,
}
