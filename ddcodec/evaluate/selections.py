"""Selected real images: by herding, and by k-centres, class by class in a space of features.

Features are what the network of the recipe gives before its linear layer, averaged over places,
once it has learned from all training images (``feature_network``). Selected images keep their
classes as labels. A selection is the same for every student: only networks differ.

- Herding (M. Welling, "Herding Dynamical Weights to Learn", ICML 2009) takes, one after the other,
  the images whose mean comes closest to the mean of the class.
- k-centres (O. Sener, S. Savarese, "Active Learning for Convolutional Neural Networks: A Core-Set
  Approach", ICLR 2018, arXiv 1708.00489): the greedy choice of T. Gonzalez (1985), at most twice as
  far from any image as the best. Each next image is the one farthest from all that are taken. It
  begins with the image closest to the mean of the class.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..coresets.draws import ClassImages, Draw
from ..judge.networks import ConvNet, fresh
from ..judge.student import TEST_PIXELS, train
from ..preprocessing.real import RealImages
from ..preprocessing.transform import Preprocess
from ..runtime.device import threads_for
from ..runtime.rng import generator, key
from .stored_images import StoredImages

if TYPE_CHECKING:
    from ..judge.trial import Trial
    from ..sources.split import Split

EPOCHS, MOST_STEPS, BATCH = 10, 300, 256  # of the network that gives features

Select = Callable[[Tensor, int], Tensor]  # features (n, d), k -> places int64 (k,)
Features = Callable[[int], Tensor]  # class -> features float32 (n, d) of its training images


def herding(features: Tensor, k: int) -> Tensor:
    """Return ``k`` distinct places, int64, whose mean follows that of all features (n, d)."""
    mean = features.mean(0)
    chosen: list[int] = []
    wanted = torch.zeros_like(mean)
    left = torch.ones(len(features), dtype=torch.bool, device=features.device)
    squares = features.square().sum(1)
    for _ in range(k):
        # |wanted + mean - x|^2 over x that are left: what is missing so far, and one share more.
        distance = squares - 2 * features @ (wanted + mean)
        place = int(torch.where(left, distance, torch.inf).argmin())
        chosen.append(place)
        left[place] = False
        wanted = wanted + mean - features[place]
    return torch.tensor(chosen)


def k_centres(features: Tensor, k: int) -> Tensor:
    """Return ``k`` distinct places, int64, of which one is near every feature (n, d)."""
    chosen = [int((features - features.mean(0)).square().sum(1).argmin())]
    nearest = torch.full((len(features),), torch.inf, device=features.device)
    for _ in range(k - 1):
        distance = (features - features[chosen[-1]]).square().sum(1)
        nearest = torch.minimum(nearest, distance)
        nearest[chosen[-1]] = -1.0  # never again, where many are alike
        chosen.append(int(nearest.argmax()))
    return torch.tensor(chosen)


def selected_draw(by_class: ClassImages, features: Features, select: Select) -> Draw:
    """Return how every student gets the same selected images of each class; kept once made."""

    @cache
    def selected(k: int) -> NDArray[np.uint8]:
        places = [select(features(index), k).numpy() for index in range(len(by_class))]
        return np.stack([group[found] for group, found in zip(by_class, places, strict=True)])

    return lambda k, student: selected(k)


def features_of(
    trial: Trial,
    train_split: Split,
    by_class: ClassImages,
    preprocess: Preprocess,
    steps: int | None = None,
) -> Features:
    """Return what gives the features of a class; its network learns when first asked.

    ``steps`` are its steps, by default 10 epochs in batches of 256, 300 at most.
    """

    @cache
    def network() -> ConvNet:
        return feature_network(trial, train_split, preprocess, steps)

    @cache
    def features(index: int) -> Tensor:
        images = RealImages(by_class[index], preprocess, trial.device)
        return seen_by(network(), images)

    return features


def feature_network(
    trial: Trial, train_split: Split, preprocess: Preprocess, steps: int | None
) -> ConvNet:
    """Return the network of the recipe after ``steps`` steps on all training images."""
    if steps is None:
        steps = min(MOST_STEPS, ceil(EPOCHS * len(train_split.labels) / BATCH))
    recipe = replace(trial.recipe, steps=steps, batch_size=BATCH)
    one_hot = np.eye(recipe.classes, dtype=np.float32)[train_split.labels]
    images = StoredImages(RealImages(train_split.images, preprocess, trial.device), one_hot)
    network = fresh(recipe, generator(trial.seed, "features")).to(trial.device)
    trial.reporter.stage("a network whose features select images", steps)
    labels = torch.from_numpy(one_hot).to(trial.device)
    seed = (key(trial.seed, "features"), 0)
    _, height, width = trial.recipe.image
    with threads_for(height, width):
        train(
            network,
            images,
            labels,
            recipe,
            seed,
            trial.precision,
            lambda step, loss: trial.reporter.step(step, float(loss)),
        )
    assert isinstance(network, ConvNet)
    return network


def seen_by(network: ConvNet, images: RealImages) -> Tensor:
    """Return features float32 (N, filters) of images (N, C, H, W): the last map, averaged."""
    _, _, height, width = images.shape
    at_once = max(1, TEST_PIXELS // (height * width))
    maps: nn.Module = network.blocks[:-1]  # without Flatten
    with torch.no_grad():
        parts = (images[start : start + at_once] for start in range(0, len(images), at_once))
        return torch.cat([maps(part).mean((2, 3)) for part in parts])
