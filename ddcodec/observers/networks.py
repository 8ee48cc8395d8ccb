"""The architectures of the observers: blocks, one of them compared in depth, and a linear head.

All have batch norm. Images of up to 64 pixels a side get the stems that are usual for CIFAR (the
first convolution keeps the size); larger ones get those of the papers.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

SMALL_SIDE = 64  # pixels; up to here the stem does not reduce
WIDTH = 128  # filters of every block of a ConvNet
SEEN_PIXELS = 1 << 20  # of the images that a network sees at once, a bound on memory


class Observer(nn.Module):
    """A classifier whose features can be read in the middle.

    ``deep`` is the index of the block whose output is compared (LIC paper, section 2.2, figure 1d).
    """

    def __init__(
        self, architecture: str, blocks: list[nn.Module], head: nn.Module, deep: int
    ) -> None:
        super().__init__()
        self.architecture, self.deep = architecture, deep
        self.blocks = nn.ModuleList(blocks)
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, classes) of preprocessed images float32 (N, C, H, W)."""
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.head(x)
        return logits

    def features(self, x: Tensor) -> Tensor:
        """Return the output (N, F, h, w) of the block that is compared."""
        for block in list(self.blocks)[: self.deep + 1]:
            x = block(x)
        return x


class Residual(nn.Module):
    """``x + body(x)``, with a projection of ``x`` where its shape changes, and an end."""

    def __init__(self, body: nn.Module, shortcut: nn.Module, end: nn.Module) -> None:
        super().__init__()
        self.body, self.shortcut, self.end = body, shortcut, end

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output for (N, F, H, W)."""
        out: Tensor = self.end(self.body(x) + self.shortcut(x))
        return out


def convnet(depth: int) -> Callable[[int, int, int, int], Observer]:
    """Return the builder of a ConvNet: 3x3 convolution, norm, ReLU, 2x2 average pooling a block.

    The last block but one is compared, as the published code of LIC does.
    """

    def make(channels: int, height: int, width: int, classes: int) -> Observer:
        blocks: list[nn.Module] = []
        for _ in range(depth):
            parts = _convolution(channels, WIDTH, activation=nn.ReLU)
            channels = WIDTH
            if min(height, width) >= 2:
                parts.append(nn.AvgPool2d(2))
                height, width = height // 2, width // 2
            blocks.append(nn.Sequential(*parts))
        head = nn.Sequential(nn.Flatten(), nn.Linear(WIDTH * height * width, classes))
        return Observer(f"convnet{depth}", blocks, head, depth - 2)

    return make


def resnet18(channels: int, height: int, width: int, classes: int) -> Observer:
    """Return a ResNet-18 (He et al., 2016): four stages of two blocks; the last is compared."""
    if max(height, width) <= SMALL_SIDE:
        stem = _convolution(channels, 64, activation=nn.ReLU)
    else:
        stem = _convolution(channels, 64, kernel=7, stride=2, activation=nn.ReLU)
        stem.append(nn.MaxPool2d(3, 2, 1))
    blocks: list[nn.Module] = [nn.Sequential(*stem)]
    incoming = 64
    for stage, filters in enumerate((64, 128, 256, 512)):
        stride = 1 if stage == 0 else 2
        blocks.append(nn.Sequential(_basic(incoming, filters, stride), _basic(filters, filters, 1)))
        incoming = filters
    return Observer("resnet18", blocks, _pooled_head(512, classes), 4)


def mobilenetv2(channels: int, height: int, width: int, classes: int) -> Observer:
    """Return a MobileNetV2 (Sandler et al., 2018); the last 1x1 convolution is compared.

    On small images the stem and the second stage keep the size, so that 32 pixels end in 4x4
    features; the paper's 224 end in 7x7.
    """
    small = max(height, width) <= SMALL_SIDE
    blocks: list[nn.Module] = [
        nn.Sequential(*_convolution(channels, 32, stride=1 if small else 2, activation=nn.ReLU6))
    ]
    incoming = 32
    # expansion, filters, repeats, stride: table 2 of the paper.
    stages = (
        (1, 16, 1, 1),
        (6, 24, 2, 1 if small else 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    )
    for expansion, filters, repeats, stride in stages:
        layers = []
        for repeat in range(repeats):
            layers.append(_inverted(incoming, filters, expansion, stride if repeat == 0 else 1))
            incoming = filters
        blocks.append(nn.Sequential(*layers))
    blocks.append(nn.Sequential(*_convolution(320, 1280, kernel=1, activation=nn.ReLU6)))
    return Observer("mobilenetv2", blocks, _pooled_head(1280, classes), len(blocks) - 1)


ARCHITECTURES: dict[str, Callable[[int, int, int, int], Observer]] = {
    "convnet3": convnet(3),
    "convnet4": convnet(4),
    "resnet18": resnet18,
    "mobilenetv2": mobilenetv2,
}


def _convolution(
    incoming: int,
    filters: int,
    kernel: int = 3,
    stride: int = 1,
    groups: int = 1,
    activation: type[nn.Module] | None = None,
) -> list[nn.Module]:
    """Return convolution without bias, batch norm and activation."""
    parts: list[nn.Module] = [
        nn.Conv2d(incoming, filters, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(filters),
    ]
    return parts if activation is None else [*parts, activation()]


def _basic(incoming: int, filters: int, stride: int) -> Residual:
    body = [
        *_convolution(incoming, filters, stride=stride, activation=nn.ReLU),
        *_convolution(filters, filters),
    ]
    same = incoming == filters and stride == 1
    shortcut = nn.Identity() if same else nn.Sequential(*_convolution(incoming, filters, 1, stride))
    return Residual(nn.Sequential(*body), shortcut, nn.ReLU())


def _inverted(incoming: int, filters: int, expansion: int, stride: int) -> nn.Module:
    hidden = incoming * expansion
    widen = _convolution(incoming, hidden, 1, activation=nn.ReLU6) if expansion > 1 else []
    body = nn.Sequential(
        *widen,
        *_convolution(hidden, hidden, stride=stride, groups=hidden, activation=nn.ReLU6),
        *_convolution(hidden, filters, 1),
    )
    if stride == 1 and incoming == filters:
        return Residual(body, nn.Identity(), nn.Identity())
    return body


def _pooled_head(features: int, classes: int) -> nn.Module:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(features, classes))
