"""How a network is trained on a file, as its manifest says."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import Unsupported
from ..nn.views import NAMES

if TYPE_CHECKING:
    from ..format import Manifest

DROP = 0.2  # of the rate, in the schedule multistep
SCHEDULES = ("constant", "multistep", "half")
TENTH = 0.1  # of the rate, in the second half of the schedule half
# Of students that learn from real images: how often they see each, and the most in a batch for it.
FULL_EPOCHS, FULL_BATCH = 20, 256


@dataclass(frozen=True)
class Recipe:
    """How a student is trained: ``recipe`` of the manifest and the shapes that go with it.

    Attributes:
        image: (channels, height, width).
        classes: outputs.
        depth, filters: blocks of the ConvNet and their channels.
        lr: learning rate; other settings of Adam are PyTorch's defaults.
        steps: gradient steps.
        batch_size: images a step; the whole set where it has no more.
        augment: a name in ``nn.views.NAMES``, for every batch.
        weight_decay: of AdamW, apart from the gradient; 0 makes it Adam. Of SGD, in the gradient.
        schedule: ``constant``; ``multistep``, a fifth of the rate after 2/3 and again after 5/6
            of the steps; ``half``, a tenth of it in the second half; or ``cosine``, down to zero.
        optimizer: ``adam``, ``adamw``, or ``sgd``, whose momentum is 0.9.
        warmup: share of the steps in which the rate rises in a line, before the cosine.

    Files ask for neither a cosine nor a warm-up: those belong to the ways of ``field``.
    """

    image: tuple[int, int, int]
    classes: int
    depth: int
    filters: int
    lr: float
    steps: int
    batch_size: int
    augment: str
    weight_decay: float = 0.0
    schedule: str = "constant"
    optimizer: str = "adam"
    warmup: float = 0.0

    def rate(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        if self.schedule == "constant":
            return self.lr
        if self.schedule == "half":
            return self.lr * (TENTH if 2 * step >= self.steps else 1)
        if self.schedule == "cosine":
            rising = round(self.warmup * self.steps)
            if step < rising:
                return self.lr * (step + 1) / (rising + 1)
            done = (step - rising) / (self.steps - rising)
            return self.lr * 0.5 * (1 + math.cos(math.pi * done))
        drops = (3 * step >= 2 * self.steps) + (6 * step >= 5 * self.steps)
        return self.lr * DROP**drops

    @classmethod
    def of(cls, manifest: Manifest) -> Recipe:
        """Return the recipe of a file; raises Unsupported for what this version cannot run."""
        recipe, image = manifest.recipe, manifest.image
        network, optimizer = recipe["network"], recipe["optimizer"]
        for what, given, known in (
            ("network", (network["name"], network["norm"]), (("convnet", "instance"),)),
            ("optimizer", optimizer["name"], ("adam", "adamw", "sgd")),
            ("loss", recipe["loss"], ("soft_cross_entropy",)),
            ("schedule", recipe.get("schedule", "constant"), SCHEDULES),
            ("augmentation", recipe["augment"], NAMES),
        ):
            if given not in known:
                raise Unsupported(
                    f"the file's recipe asks for {what} {given}; this version knows "
                    f"{', '.join(map(str, known))}"
                )
        return cls(
            (image["channels"], image["height"], image["width"]),
            len(manifest.classes),
            network["depth"],
            network["width"],
            optimizer["lr"],
            recipe["steps"],
            recipe["batch_size"],
            recipe["augment"],
            optimizer.get("weight_decay", 0.0),
            recipe.get("schedule", "constant"),
            optimizer["name"],
        )


def batch_for(recipe: Recipe, images: int, passes: int) -> int:
    """Return the batch size in which ``images`` are seen ``passes`` times in the recipe's steps.

    It is that of the recipe where that is enough, and 256 at most unless the recipe's is more.
    """
    return max(recipe.batch_size, min(FULL_BATCH, math.ceil(passes * images / recipe.steps)))
