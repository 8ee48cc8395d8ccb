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
from ..runtime.device import choose_device
from ..runtime.progress import Reporter
from ..runtime.rng import generator, key
from ..runtime.world import neutral
from .spaces import Space

if TYPE_CHECKING:
    from ..sources.base import Source

# Of a trial: enough to tell spaces apart, whatever the recipe of the set is.
STEPS, BATCH, RATE = 200, 128, 1e-3
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
    device: str,
    reporter: Reporter,
) -> list[Fit]:
    """Return the fit of each space, the best first.

    Args:
        images: float32 (N, C, H, W), in the unknown space; soft: labels (N, classes).
        source: real images, of which some of the test split are shown, else of the others.
        recipe: the set's own; its network is trained, in a short way of this module's own.
        nets, seed: networks, and the key of what is random in them.
        device: where to compute, as ``choose_device`` takes it.
    """
    place = choose_device(device)
    split = source.train if source.test is None else source.test
    count = len(split)
    chosen = np.random.default_rng(key(seed, "space")).permutation(count)[:TESTED]
    pixels = Part(split.images, np.sort(chosen))[:]
    labels = torch.from_numpy(split.labels[np.sort(chosen)]).to(place)
    short = replace(
        recipe,
        steps=min(recipe.steps, STEPS),
        batch_size=min(recipe.batch_size, BATCH),
        lr=RATE,
        weight_decay=0.0,
        optimizer="adam",
        schedule="constant",
        augment="none",
    )
    found: dict[str, list[float]] = {space.name: [] for space in spaces}
    reporter.stage("which space fits", nets * short.steps)
    lesson, targets = Arrays(images, place), torch.from_numpy(soft).to(place)
    tests = {space.name: space.seen(pixels).to(place) for space in spaces}
    for index in range(nets):
        network = fresh(short, generator(seed, "student", index)).to(place)
        done = index * short.steps

        def told(step: int, loss: Tensor, done: int = done) -> None:
            reporter.step(done + step, float(loss))

        train(network, lesson, targets, short, (seed, index), report=told)
        for name, seen in tests.items():
            found[name].append(accuracy(network, seen, labels))
    scores = [Fit(name, float(np.mean(each))) for name, each in found.items()]
    return sorted(scores, key=lambda fit: -fit.accuracy)


def chosen(scores: Sequence[Fit], usual: str) -> Fit:
    """Return the best fit, or the one called ``usual`` where it is as good."""
    near = [fit for fit in scores if scores[0].accuracy - fit.accuracy < CLEAR]
    return next((fit for fit in near if fit.name == usual), scores[0])


def verdict(scores: Sequence[Fit], fit: Fit) -> str:
    """Return in words which space fits, by how much, and what fits nearly as well."""
    others = [other for other in scores if other is not fit]
    rest = ", ".join(f"{other.name} {100 * other.accuracy:.1f} %" for other in others)
    line = f"space: {fit.name} fits, {100 * fit.accuracy:.1f} % beside {rest}"
    near = [other.name for other in others if fit.accuracy - other.accuracy < CLEAR]
    if near:
        line += f"; {' and '.join(near)} as well, so say `space` if you know it"
    return line


def as_soft(labels: NDArray[Any], classes: int) -> NDArray[np.float32]:
    """Return stored labels as float32 (N, classes)."""
    if labels.ndim == 2:
        return labels.astype(np.float32)
    one_hot: NDArray[np.float32] = np.eye(classes, dtype=np.float32)[labels]
    return one_hot
