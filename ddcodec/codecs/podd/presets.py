"""The paper's settings for its four data sets, and what other data sets get. Data, not code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

Shape = tuple[int, int, int, int]  # classes, height, width, channels


@dataclass(frozen=True)
class PoDDPreset:
    """Hyper-parameters of one data set (paper section 5.1; windows from the published code).

    Attributes:
        shape: classes, height, width and channels of the data set, or None for any.
        class_grid: classes along x and y (o_x, o_y), or None for the general rule.
        patch_grid: patches along x and y (their product is p), or None for the general rule.
        distilled_batch: patches of an inner step (bs_d).
        real_batch: real images of the outer loss (bs).
        window: unrolled steps (Delta T).
        total_steps: longest inner run (T).
        outer_steps: length of the published run.
        lr: outer Adam's learning rate.
        fixed_from: smallest images per class (K) for which labels are fixed; learned below.
        student_steps: gradient steps of the published evaluation.
        depth: blocks of the ConvNet.
        poster_sizes: published (height, width) in pixels by images per class (K).
    """

    shape: Shape | None = None
    class_grid: tuple[int, int] | None = None
    patch_grid: tuple[int, int] | None = None
    distilled_batch: int = 100
    real_batch: int = 2000
    window: int = 60
    total_steps: int = 200
    outer_steps: int = 40_000
    lr: float = 1e-3
    fixed_from: float = float("inf")
    student_steps: int = 2000
    depth: int = 3
    poster_sizes: Mapping[float, tuple[int, int]] = field(
        default_factory=lambda: MappingProxyType({}), hash=False
    )

    def labels(self, ipc: float) -> Literal["fixed", "learned"]:
        """Return the kind of labels that the paper uses at a budget in images per class."""
        return "fixed" if ipc >= self.fixed_from else "learned"


GENERIC = PoDDPreset()

PRESETS: Mapping[str, PoDDPreset] = MappingProxyType(
    {
        "cifar10": PoDDPreset(
            shape=(10, 32, 32, 3),
            class_grid=(5, 2),
            patch_grid=(16, 6),
            distilled_batch=96,
            real_batch=5000,
            fixed_from=0.7,
            poster_sizes=MappingProxyType({0.9: (60, 153)}),
        ),
        "cifar100": PoDDPreset(
            shape=(100, 32, 32, 3),
            class_grid=(10, 10),
            patch_grid=(20, 20),
            distilled_batch=50,
            window=100,
            total_steps=300,
            outer_steps=50_000,
            poster_sizes=MappingProxyType({0.4: (202, 202), 0.9: (303, 303)}),
        ),
        "cub200": PoDDPreset(
            shape=(200, 32, 32, 3),
            class_grid=(20, 10),
            patch_grid=(60, 30),
            distilled_batch=200,
            real_batch=3000,
            outer_steps=16_000,
            poster_sizes=MappingProxyType({0.9: (302, 610)}),
        ),
        "tiny-imagenet": PoDDPreset(
            shape=(200, 64, 64, 3),
            class_grid=(20, 10),
            patch_grid=(40, 20),
            distilled_batch=30,
            real_batch=500,
            window=100,
            total_steps=300,
            outer_steps=100_000,
            lr=5e-4,
            depth=4,
            poster_sizes=MappingProxyType({0.9: (608, 1211)}),
        ),
        # Ours, not the paper's: 8-pixel images need inner runs of a few dozen steps only.
        "digits": PoDDPreset(
            shape=(10, 8, 8, 1),
            class_grid=(5, 2),
            distilled_batch=48,
            real_batch=500,
            window=20,
            total_steps=60,
            outer_steps=2000,
            fixed_from=0.7,
            student_steps=300,
            depth=2,
        ),
    }
)


def preset_for(source: str | Shape, shape: Shape | None = None) -> PoDDPreset:
    """Return the preset of a data set by its name or its (classes, height, width, channels).

    Any other data set gets the generic preset. Where both are given the name decides, but only if
    the shape agrees: a reduced ``cifar10`` of 16x16 images is another data set.
    """
    if isinstance(source, str):
        named = PRESETS.get(source)
        if named is not None and shape in (None, named.shape):
            return named
    else:
        shape = source
    if shape is None:
        return GENERIC
    return next((preset for preset in PRESETS.values() if preset.shape == shape), GENERIC)
