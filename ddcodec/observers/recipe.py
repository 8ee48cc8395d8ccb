"""How an observer is trained: the settings, and what ``auto`` among them means."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch

from ..runtime.device import has_bfloat16
from ..sources.base import Source

Augment = Literal["auto", "none", "crop", "crop_flip"]
Precision = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True)
class Recipe:
    """How an observer is trained.

    Attributes:
        steps: of the optimiser.
        batch_size: images a step.
        lr: the peak, reached after a quarter of the steps from zero; then down to zero, linearly.
        momentum: Nesterov's. weight_decay: of all weights.
        smoothing: share of each label that is spread evenly over all classes. It makes a worse
            teacher (Mueller et al., 2019), and gained nothing in short trainings here.
        augment: ``crop`` moves images by up to an eighth of a side, ``crop_flip`` also mirrors.
        precision: of the convolutions; weights are float32.
    """

    steps: int
    batch_size: int = 128
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    smoothing: float = 0.0
    augment: Augment = "crop_flip"
    precision: Precision = "float32"

    def rate(self, step: int) -> float:
        """Return the learning rate of a step (0 for the first)."""
        warm = max(1, self.steps // 4)
        rise = (step + 1) / warm
        fall = (self.steps - step) / max(1, self.steps - warm)
        return self.lr * min(1.0, rise, fall)


def settled(recipe: Recipe, source: Source, device: torch.device) -> Recipe:
    """Return the recipe with every ``auto`` decided."""
    if recipe.augment == "auto":
        recipe = replace(recipe, augment="crop" if source.channels == 1 else "crop_flip")
    if recipe.precision == "auto":
        recipe = replace(recipe, precision="bfloat16" if has_bfloat16(device) else "float32")
    return recipe
