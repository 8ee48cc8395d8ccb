"""The paper's settings for its four data sets, and what other data sets get. Data, not code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal


@dataclass(frozen=True)
class PoDDPreset:
    """Hyper-parameters of one data set (paper section 5.1; windows from the published code).

    Attributes:
        class_grid: classes along x and y, or None for the general rule.
        patch_grid: patches along x and y, or None for the general rule.
        distilled_batch, real_batch: images of an inner step and of the outer loss.
        window: unrolled steps (Delta T); total_steps: longest inner run (T).
        outer_steps: length of the published run.
        lr: outer Adam's learning rate; inner_lr: the inner Adam's.
        fixed_from: smallest images per class for which labels are fixed; learned below.
        student_steps: gradient steps of the published evaluation.
        poster_sizes: (height, width) by images per class where the paper departs from the rule.
    """

    class_grid: tuple[int, int] | None = None
    patch_grid: tuple[int, int] | None = None
    distilled_batch: int = 100
    real_batch: int = 2000
    window: int = 60
    total_steps: int = 200
    outer_steps: int = 40_000
    lr: float = 1e-3
    inner_lr: float = 1e-3
    fixed_from: float = float("inf")
    student_steps: int = 2000
    poster_sizes: Mapping[float, tuple[int, int]] = field(default_factory=dict)

    def labels(self, ipc: float) -> Literal["fixed", "learned"]:
        """Return the kind of labels that the paper uses at a budget."""
        return "fixed" if ipc >= self.fixed_from else "learned"


GENERIC = PoDDPreset()

PRESETS: Mapping[str, PoDDPreset] = {
    "cifar10": PoDDPreset(
        class_grid=(5, 2),
        patch_grid=(16, 6),
        distilled_batch=96,
        real_batch=5000,
        fixed_from=0.7,
    ),
    "cifar100": PoDDPreset(
        class_grid=(10, 10),
        patch_grid=(20, 20),
        distilled_batch=50,
        window=100,
        total_steps=300,
        outer_steps=50_000,
        poster_sizes={0.9: (303, 303)},
    ),
    "cub200": PoDDPreset(
        class_grid=(20, 10),
        patch_grid=(60, 30),
        distilled_batch=200,
        real_batch=3000,
        outer_steps=16_000,
        poster_sizes={0.9: (302, 610)},
    ),
    "tiny-imagenet": PoDDPreset(
        class_grid=(20, 10),
        patch_grid=(40, 20),
        distilled_batch=30,
        real_batch=500,
        window=100,
        total_steps=300,
        outer_steps=100_000,
        lr=5e-4,
        poster_sizes={0.9: (608, 1211)},
    ),
    # 8-pixel images: inner runs of a few dozen steps are enough, so the window is short.
    "digits": replace(
        GENERIC, class_grid=(5, 2), distilled_batch=48, real_batch=500, window=20, total_steps=60,
        outer_steps=2000, fixed_from=0.7, student_steps=300,
    ),
}


def preset_for(name: str) -> PoDDPreset:
    """Return the preset of a data set by its name; the generic one for any other."""
    return PRESETS.get(name, GENERIC)
