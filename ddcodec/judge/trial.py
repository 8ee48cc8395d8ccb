"""Several networks under one protocol, and the mean of their accuracy."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..nn.views import Teacher
from ..runtime.arguments import settle, text, whole
from ..runtime.device import threads_for
from ..runtime.finished import NOTHING, Finished, key_of
from ..runtime.progress import Reporter
from ..runtime.rng import generator
from ..runtime.world import neutral
from .networks import fresh
from .recipe import Recipe
from .student import PRECISIONS, Images, Precision, TestImages, accuracy, train

Entry = dict[str, Any]


@dataclass(frozen=True)
class Accuracy:
    """Test accuracy of several students, as shares of 1.

    Attributes:
        mean, std: over networks; std is that of the population (0 for one network).
        nets: networks trained.
        steps: steps each.
        seconds: of training and testing, all networks together, kept ones with what they took.
        per_net: accuracy of each network.
    """

    mean: float
    std: float
    nets: int
    steps: int
    seconds: float
    per_net: tuple[float, ...]

    def figures(self) -> Entry:
        """Return ``accuracy_mean``, ``accuracy_std`` and ``per_net``, JSON values of reports."""
        return {
            "accuracy_mean": self.mean,
            "accuracy_std": self.std,
            "per_net": list(self.per_net),
        }


@dataclass(frozen=True)
class Trial:
    """One protocol for everything that is compared: recipe, test set, number of networks, seed.

    Attributes:
        recipe: how to train.
        test: images float32 (N, C, H, W), or what gives them part by part, and labels int64 (N,).
        nets, seed: how many networks, and the key of what is random in them.
        reporter: told of every few steps, and of each network.
        architecture: of other students than the recipe's, a name of ``field``.
        precision: of their convolutions while they learn and are tested; weights are float32.
        finished: keeps networks that need not be trained again.
        subject: JSON values that say on which data the trial is; part of what is kept goes by.
        scores: accuracies so far by the name of what was learned from, for who is interrupted.
    """

    recipe: Recipe
    test: tuple[TestImages, Tensor]
    nets: int
    seed: int
    reporter: Reporter
    architecture: str | None = None
    precision: Precision = "float32"
    finished: Finished = NOTHING
    subject: tuple[Any, ...] = ()
    scores: dict[str, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        settle(
            self,
            nets=whole("nets", self.nets, 1),
            seed=whole("seed", self.seed, 0),
            precision=text("precision", self.precision, PRECISIONS),
            recipe=replace(self.recipe, steps=whole("steps", self.recipe.steps, 1)),
        )
        if self.architecture is not None:
            text("architecture", self.architecture)

    @property
    def device(self) -> torch.device:
        """Where the students are trained: the device of the test images."""
        return self.test[0].device

    @neutral()
    def run(
        self,
        name: str,
        training_set: Callable[[int], tuple[Images, Tensor]],
        *facts: Any,
        teacher: Teacher | None = None,
    ) -> Accuracy:
        """Train and test every network; network i learns from ``training_set(i)``.

        That is (images, labels), labels float32 (N, classes), both on the device of the test.
        ``teacher``, there too, labels what the recipe augments. ``facts`` are JSON values that
        decide the data, beside the name and the trial itself. A network that was kept is not
        trained again; its training set is asked for all the same.
        """
        steps, scores, total = self.recipe.steps, self.scores.setdefault(name, []), 0.0
        scores.clear()
        self.reporter.stage(name, steps * self.nets)
        _, height, width = self.recipe.image
        with threads_for(height, width):
            for index in range(self.nets):
                lesson = training_set(index)
                key = self._key("network", name, index, *facts)
                found, before = self.finished.find(key), ", as kept"
                if found is None:
                    started, before = time.perf_counter(), ""
                    score = self._score(index, *lesson, teacher)
                    found = [score, time.perf_counter() - started]
                    self.finished.keep(key, found)
                else:
                    self.reporter.step((index + 1) * steps)
                scores.append(found[0])
                total += found[1]
                self.reporter.result(
                    f"{name}: network {index + 1} of {self.nets}: {100 * found[0]:.1f} %, "
                    f"{found[1]:.1f} s{before}"
                )
        return Accuracy(
            float(np.mean(scores)), float(np.std(scores)), self.nets, steps, total, tuple(scores)
        )

    def entry(self, title: str, make: Callable[[], Entry], *facts: Any) -> Entry:
        """Return the JSON object that ``make`` gives, or gave in a run that was kept.

        Its ``per_net`` holds the accuracy of each network.
        """
        key = self._key("entry", title, self.nets, *facts)
        found: Entry | None = self.finished.find(key)
        if found is None:
            found = make()
            self.finished.keep(key, found)
        else:
            self.scores[title] = found["per_net"]
            self.reporter.result(f"{title}: {len(found['per_net'])} networks, as kept")
        return found

    def facts(self) -> tuple[Any, ...]:
        """Return what decides the result of a network of one number: JSON values, and tuples."""
        how = (self.seed, self.architecture, self.precision, self.device.type)
        return (*self.subject, asdict(self.recipe), *how)

    def _key(self, *more: Any) -> str:
        return key_of(*more, *self.facts())

    def _score(self, index: int, images: Images, labels: Tensor, teacher: Teacher | None) -> float:
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
            teacher=teacher,
        )
        return accuracy(network, *self.test, self.precision)
