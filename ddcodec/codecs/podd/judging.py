"""What a poster teaches, measured while it is made: students on images held out of it."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...coresets.draws import images_by_class
from ...judge.recipe import FULL_EPOCHS, Recipe, batch_for
from ...judge.trial import Trial
from ...preprocessing.transform import Preprocess
from ...runtime.progress import SILENT, Reporter
from ...runtime.rng import generator, key
from ...sources.base import Source
from .decode import PosterSamples
from .initial import ClassMeans, Real, real_tensors
from .outer_loop import Distiller
from .pace import FEW
from .plan import Plan
from .presets import spelled_out, with_steps
from .rivals import CLASS_MEANS, RANDOM_IMAGES, Rival, drawn_images, mean_images
from .variables import PosterVariables

HELD_SHARE = 0.1  # of each class
MOST_HELD = 1000  # images; enough to tell two points
LEAST_HELD = 20  # images; where there would be fewer, none is held out
NETS = 2
WIDTH = 32  # of their filters; half to a third of the time of the recipe's
# A poster that was made for the recipe's networks teaches narrow ones less. So those judge runs of
# this many seconds, where all they judge takes this share at most, some so many narrow tests.
LONG, JUDGED_SHARE, NARROW_TESTS = 1800.0, 0.1, 12

Ints = NDArray[np.int64]


def held_out(labels: Ints, classes: int, seed: int) -> tuple[Ints, Ints]:
    """Return the places of training images that are learned from and of those held out.

    A tenth of each class is held out, drawn by ``seed``, ``MOST_HELD`` in all at most; none of a
    class of fewer than ten images, and none at all where that leaves fewer than ``LEAST_HELD``.
    """
    share = min(HELD_SHARE, MOST_HELD / len(labels))
    order = torch.randperm(len(labels), generator=generator(seed, "held out")).numpy()
    drawn = labels[order]
    held = [order[drawn == c][: int(share * np.count_nonzero(drawn == c))] for c in range(classes)]
    out: Ints = np.sort(np.concatenate(held))
    if len(out) < LEAST_HELD:
        out = out[:0]
    return np.setdiff1d(np.arange(len(labels)), out), out


@dataclass(frozen=True)
class Images:
    """The training images of a source, as an encode uses them.

    Attributes:
        real: preprocessed images float32 (N, C, h, w) to learn from, and labels int64 (N,).
        means: of these.
        test: others, to test on; some of the same where none are held out.
        held: whether they are others.
        source: where they are from.
        kept: places there of those to learn from, int64 (n,).
        preprocess: makes images of the source what networks learn from.
    """

    real: Real
    means: ClassMeans
    test: tuple[Tensor, Tensor]
    held: bool
    source: Source
    kept: Ints
    preprocess: Preprocess

    @property
    def words(self) -> str:
        """What the images of the test are, for people."""
        kind = "that were held out" if self.held else "that were learned from, too"
        return f"{len(self.test[1]):,} training images {kind}"


def shared_out(
    source: Source, plan: Plan, preprocessing: dict[str, Any], device: torch.device
) -> Images:
    """Return the images to learn from and those to test on, on ``device``.

    The profile ``paper`` learns from all.
    """
    labels = source.train.labels
    kept = held = np.arange(len(labels))
    if plan.profile == "quick":
        kept, held = held_out(labels, len(source.classes), plan.seed)
    real = real_tensors(source, preprocessing, device, kept)
    means = ClassMeans(real, len(source.classes))
    apart = 0 < len(held) < len(labels)
    if apart:
        x, y = real_tensors(source, preprocessing, device, held)
        test = x[:], y
    else:
        order = torch.randperm(len(labels), generator=generator(plan.seed, "judged"))
        chosen = order[:MOST_HELD].to(device)
        test = real[0][chosen], real[1][chosen]
    preprocess = Preprocess(preprocessing, source.channels, source.height, source.width)
    return Images(real, means, test, apart, source, kept, preprocess)


class Judge:
    """Networks of the file's recipe, narrower, that learn from a poster and are tested.

    Args:
        plan: of the encode.
        recipe: of the file.
        test: preprocessed images float32 (N, C, h, w) and labels int64 (N,), on a device.

    Attributes:
        seconds: that the last test took.
    """

    seconds = 0.0

    def __init__(self, plan: Plan, recipe: Recipe, test: tuple[Tensor, Tensor]) -> None:
        narrow = replace(recipe, filters=min(WIDTH, recipe.filters))
        self._plan, self._recipe = plan, recipe
        self._trial = Trial(narrow, test, NETS, key(plan.seed, "judges"), SILENT)
        self._device = test[0].device

    @property
    def filters(self) -> int:
        """Of the networks."""
        return self._trial.recipe.filters

    def widen(self) -> None:
        """Take the networks of the recipe as they are from now on."""
        self._trial = replace(self._trial, recipe=self._recipe)

    def accuracy(self, variables: PosterVariables) -> float:
        """Return the share of test images that networks know after learning from a poster."""
        stored = self._plan.stored
        poster = variables.full(stored).cpu()
        labels = variables.labels(stored)
        samples = PosterSamples.from_poster(poster, self._plan.geometry, labels.cpu().numpy())
        return self._run(samples, labels)

    def class_means(self, means: ClassMeans) -> float:
        """Return the same for mean images of the classes in as many pixels as are stored."""
        classes, pixels = len(self._plan.classes), math.prod(self._plan.size)
        return self._run(*mean_images(means, classes, pixels))

    def random_images(self, images: Images, total: int) -> Rival | None:
        """Return what random images teach that are stored in ``total`` bytes with their labels.

        Each network has images of its own, and sees them as often as those of ``sweep``. None where
        no pixel fits or too many images would, and where the test has images that may be drawn.
        """
        if not images.held:
            return None
        by_class = images_by_class(images.source, images.kept)
        drawn = drawn_images(by_class, images.preprocess, total, NETS, self._plan.seed)
        if drawn is None:
            return None
        recipe = self._trial.recipe
        batch = batch_for(recipe, drawn.count, FULL_EPOCHS)
        trial = replace(self._trial, recipe=replace(recipe, batch_size=batch))
        found = trial.run("", lambda student: self._there(*drawn.lesson(student))).mean
        words = f"{drawn.count:,} {RANDOM_IMAGES}, as {drawn.kind}"
        return Rival(RANDOM_IMAGES, words, found)

    def _run(self, samples: PosterSamples, labels: Tensor) -> float:
        start = time.monotonic()
        lesson = self._there(samples, labels)
        found = self._trial.run("", lambda _: lesson).mean
        self.seconds = time.monotonic() - start
        return found

    def _there(self, samples: PosterSamples, labels: Tensor) -> tuple[PosterSamples, Tensor]:
        return samples.to(self._device), labels.to(self._device)


class Contest:
    """What an encode began with, what it reached, and the best of it.

    Args:
        judge: tells what networks learn from them.
        variables: poster and labels before the first step; the contest may change them.
        images: what is learned from and tested on.
        time: seconds that the encode may take, 0 where that is not said.
    """

    def __init__(
        self,
        judge: Judge,
        variables: PosterVariables,
        images: Images,
        time: float = 0,
    ) -> None:
        self._judge, self._variables, self._images = judge, variables, images
        self._start = {name: x.clone() for name, x in variables.learned.items()}
        self.began = judge.accuracy(variables)
        if time >= LONG and NARROW_TESTS * judge.seconds <= JUDGED_SHARE * time:
            judge.widen()
            self.began = judge.accuracy(variables)
        self.means = judge.class_means(images.means)
        self.random: Rival | None = None
        self.reached = self.began

    @property
    def seconds_to_come(self) -> float:
        """What is still to be judged takes about so long."""
        return (2 + self._images.held) * self._judge.seconds

    def best(self, distiller: Distiller, done: int) -> tuple[Plan, int]:
        """Leave the best in the variables; return the plan that makes it, and its steps done.

        That is what ``distiller`` reached after ``done`` steps, what its last stage began with, or
        what the first did.
        """
        plan = distiller.plan
        kept, _ = self._variables.kept()
        reached = kept | {name: x.clone() for name, x in self._variables.learned.items()}
        candidates = [(plan, reached)]
        if len(plan.stages) > 1:
            kernel = plan.stages[0].steps
            candidates.append((with_steps(plan, kernel, kernel), distiller.before))
        scores = []
        for _, state in candidates:
            self._variables.set(state)
            scores.append(self._judge.accuracy(self._variables))
        candidates.append((with_steps(plan, 0), self._start))
        scores.append(self.began)
        # Of equal ones the one with most steps.
        best = distiller.run.ranks.first(scores.index(max(scores)))
        self.reached, (plan, state) = scores[best], candidates[best]
        self._variables.set(state)
        return spelled_out(plan), done if best == 0 else plan.steps

    def compare(self, total: int, reporter: Reporter = SILENT) -> None:
        """Test what random images teach in the bytes of the file."""
        if self._images.held:
            reporter.stage("testing random images in the bytes of the file", 0)
        self.random = self._judge.random_images(self._images, total)

    def verdict(self, plan: Plan) -> list[str]:
        """Return what is to be said of the file, as lines for people."""
        rivals = [Rival(CLASS_MEANS, CLASS_MEANS, self.means)]
        if self.random is not None:
            rivals.append(self.random)
        others = ", from ".join(f"{rival.words} {100 * rival.accuracy:.1f}" for rival in rivals)
        lines = [
            f"{plan.steps:,} steps: students of {self._judge.filters} filters reach "
            f"{100 * self.reached:.1f} % of {self._images.words}; before the first step "
            f"{100 * self.began:.1f}, from {others}"
        ]
        ahead = [rival.name for rival in rivals if rival.accuracy > self.reached]
        if ahead:
            larger = "ipc" if plan.total_bytes is None else "total_bytes"
            more = f", a larger `{larger}` or a smaller `size`" if CLASS_MEANS in ahead else ""
            lines.append(
                f"the file teaches less than {' or '.join(ahead)} would: more `time`{more} would "
                "help"
            )
        unrolled = plan.stages[-1].steps if plan.stages[-1].method == "pool" else 0
        if unrolled < FEW:
            lines.append(
                f"few steps: {unrolled} unrolled ones, where some hundreds are usual; more `time` "
                "would help"
            )
        return lines
