"""Which space fits: networks learn from the set once, and are tested in each of the candidates.

Only in its own space do real images look to a network as the set did.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..judge.networks import fresh
from ..judge.recipe import Recipe
from ..judge.student import accuracy, train
from ..preprocessing.stored import Part
from ..runtime.progress import Reporter
from ..runtime.rng import generator, key
from ..runtime.world import neutral
from .spaces import Space

if TYPE_CHECKING:
    from ..sources.base import Source

STEPS, BATCH = 300, 128  # of a trial, at most: enough to tell spaces apart
TESTED = 2000  # real images
CLEAR = 0.02  # of accuracy: spaces that differ by less are not told apart


@dataclass(frozen=True)
class Fit:
    """How well a space fits: mean accuracy over a few networks, a share of 1."""

    name: str
    accuracy: float


class Arrays:
    """Images float32 (N, C, H, W) as the judge's students take them."""

    shares: tuple[float, ...] | None = None
    variations = 1

    def __init__(self, images: NDArray[np.float32], device: torch.device) -> None:
        self._images = torch.from_numpy(np.ascontiguousarray(images)).to(device)

    def __len__(self) -> int:
        return len(self._images)

    def gather(self, index: Tensor) -> Tensor:
        return self._images[index.to(self._images.device)]


@neutral()
def fits(
    images: NDArray[np.float32],
    soft: NDArray[np.float32],
    spaces: Sequence[Space],
    source: Source,
    recipe: Recipe,
    nets: int,
    seed: int,
    device: torch.device,
    reporter: Reporter,
) -> list[Fit]:
    """Return the fit of each space, the best first.

    Args:
        images: float32 (N, C, H, W), in the unknown space; soft: labels (N, classes).
        source: real images, of which some of the test split are shown, else of the others.
        recipe: how to train; steps and batches are limited.
        nets, seed: networks, and the key of what is random in them.
    """
    split = source.train if source.test is None else source.test
    count = len(split)
    chosen = np.random.default_rng(key(seed, "space")).permutation(count)[:TESTED]
    pixels = Part(split.images, np.sort(chosen))[:]
    labels = torch.from_numpy(split.labels[np.sort(chosen)]).to(device)
    short = replace(
        recipe, steps=min(recipe.steps, STEPS), batch_size=min(recipe.batch_size, BATCH)
    )
    found: dict[str, list[float]] = {space.name: [] for space in spaces}
    reporter.stage("which space fits", nets * short.steps)
    lesson, targets = Arrays(images, device), torch.from_numpy(soft).to(device)
    tests = {space.name: space.seen(pixels).to(device) for space in spaces}
    for index in range(nets):
        network = fresh(short, generator(seed, "student", index)).to(device)
        done = index * short.steps

        def told(step: int, loss: Tensor, done: int = done) -> None:
            reporter.step(done + step, float(loss))

        train(network, lesson, targets, short, (seed, index), report=told)
        for name, seen in tests.items():
            found[name].append(accuracy(network, seen, labels))
    scores = [Fit(name, float(np.mean(each))) for name, each in found.items()]
    return sorted(scores, key=lambda fit: -fit.accuracy)


def verdict(scores: Sequence[Fit]) -> str:
    """Return in words which space fits, and by how much."""
    best, *others = scores
    rest = ", ".join(f"{fit.name} {100 * fit.accuracy:.1f} %" for fit in others)
    line = f"space: {best.name} fits, {100 * best.accuracy:.1f} %"
    if not others:
        return line
    line += f" (beside {rest})"
    if best.accuracy - others[0].accuracy < CLEAR:
        line += f"; not clearly better than {others[0].name}: say `space` if you know it"
    return line


def as_soft(labels: NDArray[Any], classes: int) -> NDArray[np.float32]:
    """Return stored labels as float32 (N, classes)."""
    if labels.ndim == 2:
        return labels.astype(np.float32)
    return np.eye(classes, dtype=np.float32)[labels]
