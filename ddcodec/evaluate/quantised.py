"""A quantised network in the bytes of a file: what one would ship if the aim were to classify.

It learns from all training images with their classes and is tested itself; no student learns from
it. It is the widest of ``small_networks`` that fits at about 3 bits a weight: chosen by its bytes,
by no accuracy. Weights are free for the first half of the steps and rounded in the second. What is
tested is the network that was written down and read again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..judge.student import accuracy, train
from ..observers.rounding import BITS, MARGIN, counts, fit, widest
from ..observers.small_networks import Shape, SmallNetwork, step_for
from ..preprocessing.real import RealImages
from ..preprocessing.transform import Preprocess
from ..runtime.device import threads_for
from ..runtime.finished import key_of
from ..runtime.rng import generator, key
from ..runtime.world import neutral
from .network_bytes import from_bytes, predicted_bytes, preprocessing, to_bytes
from .stored_images import StoredImages

if TYPE_CHECKING:
    from ..judge.trial import Trial
    from ..sources.split import Split

TITLE = "quantised network, same bytes"
NETS = 3  # at most; one takes about as long as one of the row of all images
LEAST_BITS = 2.85  # of a weight; fewer than 3 where that gives a wider network
BATCH = 128
EPOCHS, LEAST_STEPS, MOST_STEPS = 20, 400, 3000
RATE, DECAY, WARM_UP = 0.1, 5e-4, 0.1  # of SGD with momentum, down a cosine


@neutral()
def quantised_network(
    trial: Trial, train_split: Split, classes: int, total: int, steps: int | None = None
) -> dict[str, Any]:
    """Return the accuracy of the network that fits into ``total`` bytes, on the trial's test.

    The entry has the names of ``baselines.baselines``, without images: ``accuracy_mean``,
    ``accuracy_std``, ``per_net`` (of ``NETS`` networks, or of the trial's where that is fewer),
    ``pixels`` 0 and ``bytes`` (of the largest); and ``nets``, ``steps``, ``seconds``, ``weights``,
    ``widths`` (channels of the blocks). Accuracies are None and ``per_net`` is empty where the
    smallest network does not fit; ``bytes`` are ``total`` then.

    ``steps`` of each network are by default 20 epochs in batches of 128, but 400 at least and
    3000 at most, as many images as the row of all images sees at most. Batches are augmented as
    the trial's recipe says.
    """
    _, channels, height, width = trial.test[0].shape
    image = (channels, height, width)
    shape = widest(image, classes, total, lambda shape: predicted_bytes(shape, LEAST_BITS))
    if shape is None:
        return {
            "accuracy_mean": None,
            "accuracy_std": None,
            "per_net": [],
            "pixels": 0,
            "bytes": total,
        }
    steps = steps or planned_steps(len(train_split.labels))
    lesson = _Lesson.of(trial, train_split, shape)
    nets = min(trial.nets, NETS)
    trial.reporter.stage(TITLE, nets * steps)
    with threads_for(height, width):
        found = [_kept(trial, lesson, index, nets, steps, total) for index in range(nets)]
    scores = [one["accuracy"] for one in found]
    weights = counts(shape)[0]
    return {
        "accuracy_mean": float(np.mean(scores)),
        "accuracy_std": float(np.std(scores)),
        "per_net": scores,
        "pixels": 0,
        "bytes": max(one["bytes"] for one in found),
        "nets": nets,
        "steps": steps,
        "seconds": sum(one["seconds"] for one in found),
        "weights": weights,
        "widths": list(shape.widths),
    }


def planned_steps(images: int) -> int:
    """Return the steps of a network that learns from so many images."""
    return min(MOST_STEPS, max(LEAST_STEPS, ceil(EPOCHS * images / BATCH)))


@dataclass(frozen=True)
class _Lesson:
    """What every network learns from and is tested on, and its shape."""

    shape: Shape
    images: StoredImages
    labels: Tensor  # float32 (N, classes)
    test: RealImages

    @classmethod
    def of(cls, trial: Trial, split: Split, shape: Shape) -> _Lesson:
        plain = Preprocess(preprocessing(shape.image[0]), *shape.image)
        one_hot = np.eye(shape.classes, dtype=np.float32)[split.labels]
        images = StoredImages(RealImages(split.images, plain, trial.device), one_hot)
        seen = trial.test[0]
        assert isinstance(seen, RealImages)
        labels = torch.from_numpy(one_hot).to(trial.device)
        return cls(shape, images, labels, seen.under(plain))


def _kept(
    trial: Trial, lesson: _Lesson, index: int, nets: int, steps: int, total: int
) -> dict[str, Any]:
    """Return ``accuracy``, ``bytes`` and ``seconds`` of network ``index``, kept or made now."""
    name = key_of("quantised", index, lesson.shape.size, steps, total, *trial.facts())
    found: dict[str, Any] | None = trial.finished.find(name)
    before = ", as kept"
    if found is None:
        started, before = time.perf_counter(), ""

        def report(step: int, loss: Tensor) -> None:
            trial.reporter.step(index * steps + step, float(loss))

        network = learned(trial, lesson, index, steps, total, report)
        data = fit(network, total, to_bytes)
        score = accuracy(from_bytes(data).to(trial.device), lesson.test, trial.test[1])
        seconds = time.perf_counter() - started
        found = {"accuracy": score, "bytes": len(data), "seconds": seconds}
        trial.finished.keep(name, found)
    else:
        trial.reporter.step((index + 1) * steps)
    trial.scores.setdefault(TITLE, []).append(found["accuracy"])
    trial.reporter.result(
        f"{TITLE}: network {index + 1} of {nets}: {100 * found['accuracy']:.1f} %, "
        f"{found['bytes']:,} bytes, {found['seconds']:.1f} s{before}"
    )
    return found


def learned(
    trial: Trial,
    lesson: _Lesson,
    index: int,
    steps: int,
    total: int,
    report: Callable[[int, Tensor], None],
) -> SmallNetwork:
    """Return network ``index`` after its last step, rounded."""
    network = SmallNetwork(lesson.shape)
    network.begin(generator(trial.seed, "quantised", index))
    # The layout in which convolutions are fastest, on processors and accelerators alike.
    network.to(trial.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    recipe = replace(
        trial.recipe,
        lr=RATE,
        steps=steps,
        batch_size=BATCH,
        weight_decay=DECAY,
        schedule="cosine",
        optimizer="sgd",
        warmup=WARM_UP,
    )

    def before(step: int) -> None:
        if step == steps // 2 + 1:
            network.round_to(step_for(BITS))
            fit(network, total - total // MARGIN, to_bytes)

    seed = (key(trial.seed, "quantised"), index)
    train(network, lesson.images, lesson.labels, recipe, seed, trial.precision, report, before)
    return network
