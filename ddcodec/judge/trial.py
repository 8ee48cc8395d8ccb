"""Several networks under one protocol, and the mean of their accuracy."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..errors import require_at_least
from ..runtime.device import repeatable, threads_for
from ..runtime.progress import Reporter
from ..runtime.rng import generator
from ..runtime.world import neutral
from .networks import fresh
from .recipe import Recipe
from .student import Images, Precision, accuracy, train


@dataclass(frozen=True)
class Accuracy:
    """Test accuracy of several students, as shares of 1.

    Attributes:
        mean, std: over networks; std is that of the population (0 for one network).
        nets: networks trained.
        steps: steps each.
        seconds: of training and testing, all networks together.
        per_net: accuracy of each network.
    """

    mean: float
    std: float
    nets: int
    steps: int
    seconds: float
    per_net: tuple[float, ...]


@dataclass(frozen=True)
class Trial:
    """One protocol for everything that is compared: recipe, test set, number of networks, seed.

    Attributes:
        recipe: how to train.
        test: images float32 (N, C, H, W) and labels int64 (N,).
        nets, seed: how many networks, and the key of what is random in them.
        reporter: told of every few steps.
        architecture: of other students than the recipe's, a name of ``observers.networks``.
        precision: of their convolutions while they learn and are tested; weights are float32.
    """

    recipe: Recipe
    test: tuple[Tensor, Tensor]
    nets: int
    seed: int
    reporter: Reporter
    architecture: str | None = None
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        require_at_least(1, nets=self.nets, steps=self.recipe.steps)
        require_at_least(0, seed=self.seed)

    @property
    def device(self) -> torch.device:
        """Where the students are trained: the device of the test images."""
        return self.test[0].device

    @neutral()
    def run(self, name: str, training_set: Callable[[int], tuple[Images, Tensor]]) -> Accuracy:
        """Train and test every network; network i learns from ``training_set(i)``.

        That is (images, labels), labels float32 (N, classes), both on the device of the test.
        """
        steps = self.recipe.steps
        self.reporter.stage(name, steps * self.nets)
        start = time.perf_counter()
        _, height, width = self.recipe.image
        with threads_for(height, width), repeatable(self.device):
            scores = [self._score(index, *training_set(index)) for index in range(self.nets)]
        seconds = time.perf_counter() - start
        return Accuracy(
            float(np.mean(scores)), float(np.std(scores)), self.nets, steps, seconds, tuple(scores)
        )

    def _score(self, index: int, images: Images, labels: Tensor) -> float:
        """Return the accuracy of network ``index`` after the last step."""
        network = fresh(self.recipe, generator(self.seed, "student", index), self.architecture)
        network = network.to(labels.device)
        done = index * self.recipe.steps
        train(
            network,
            images,
            labels,
            self.recipe,
            (self.seed, index),
            self.precision,
            lambda step, loss: self.reporter.step(done + step, float(loss)),
        )
        return accuracy(network, *self.test, self.precision)
