"""How good is a distilled data set? Fresh networks learn from the file alone and face real tests.

The protocol of the papers: a network with new random weights, the recipe in the file, plain Adam
at a constant rate, and the accuracy on the whole test split at the end. No step looks at real
training images, and none of the test images are looked at before the last step.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from ..distill.networks import ConvNet
from ..encoder import choose_device
from ..errors import Unsupported, UsageError
from ..judge.students import Student, fresh
from ..nn.augment import AUGMENTATIONS, augment
from ..runtime.epochs import epoch_order
from ..runtime.progress import SILENT, Reporter
from ..runtime.rng import generator, key
from ..runtime.threads import threads_for

if TYPE_CHECKING:
    from ..codecs.samples import Samples
    from ..data.dataset import DistilledDataset
    from ..format import Manifest
    from ..sources.base import Source, Split

Precision = Literal["float32", "bfloat16"]

REPORT_EVERY = 10  # steps; reading a loss makes an accelerator wait
DROP = 0.2  # of the rate, in the schedule multistep
TEST_PIXELS = 1 << 19  # at once, a bound on the memory for activations


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
class Recipe:
    """How a student is trained: ``recipe`` of the manifest with the network spelled out.

    Attributes:
        net: the student.
        lr: Adam's learning rate; its other settings are PyTorch's defaults.
        steps: gradient steps.
        batch_size: images a step; the whole set where it has no more.
        augment: a name in ``distill.augment``, for every batch.
        weight_decay: of AdamW, apart from the gradient; 0 makes it Adam.
        schedule: ``constant``, or ``multistep``, a fifth of the rate after 2/3 and again after 5/6
            of the steps.
    """

    net: ConvNet
    lr: float
    steps: int
    batch_size: int
    augment: str
    weight_decay: float = 0.0
    schedule: str = "constant"

    def rate(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        if self.schedule == "constant":
            return self.lr
        drops = (3 * step >= 2 * self.steps) + (6 * step >= 5 * self.steps)
        return self.lr * DROP**drops

    @classmethod
    def of(cls, manifest: Manifest) -> Recipe:
        """Return the recipe of a file; raises Unsupported for what this version cannot run."""
        recipe, image = manifest.recipe, manifest.image
        network, optimizer = recipe["network"], recipe["optimizer"]
        for what, given, known in (
            ("network", (network["name"], network["norm"]), (("convnet", "instance"),)),
            ("optimizer", optimizer["name"], ("adam", "adamw")),
            ("loss", recipe["loss"], ("soft_cross_entropy",)),
            ("schedule", recipe.get("schedule", "constant"), ("constant", "multistep")),
            ("augmentation", recipe["augment"], tuple(AUGMENTATIONS)),
        ):
            if given not in known:
                raise Unsupported(
                    f"the file's recipe asks for {what} {given}; this version knows "
                    f"{', '.join(map(str, known))}"
                )
        net = ConvNet(
            image["channels"],
            image["height"],
            image["width"],
            len(manifest.classes),
            network["depth"],
            network["width"],
        )
        return cls(
            net,
            optimizer["lr"],
            recipe["steps"],
            recipe["batch_size"],
            recipe["augment"],
            optimizer.get("weight_decay", 0.0),
            recipe.get("schedule", "constant"),
        )


def train_students(
    ds: DistilledDataset,
    test: Split,
    nets: int = 8,
    steps: int | None = None,
    seed: int = 0,
    device: torch.device | str = "auto",
    architecture: str | None = None,
    precision: Precision = "float32",
    reporter: Reporter = SILENT,
) -> Accuracy:
    """Train ``nets`` fresh networks on the file alone and return their accuracy on ``test``.

    Args:
        ds: the distilled data set; its recipe decides everything not named here.
        test: real images uint8 (N, H, W, C) and labels int64 (N,), see ``test_split``.
        nets: networks, at least 1; network i begins from a generator keyed by (seed, i).
        steps: instead of the recipe's.
        seed: 0 or more.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        architecture: of other students than the recipe's: a name of ``observers.networks``, which
            all have batch norm. Everything else of the recipe stays.
        precision: ``float32``, or ``bfloat16`` for faster convolutions.
        reporter: told of every few steps.

    Raises:
        UsageError: an argument is out of range, or the test images are of another kind.
        Unsupported: the recipe asks for what this version does not know.
    """
    recipe = Recipe.of(ds.manifest)
    if steps is not None:
        recipe = replace(recipe, steps=steps)
    where = choose_device(str(device))
    samples, _ = ds.on(where)
    labels = ds.soft_labels.to(where)
    trial = Trial(
        recipe, test_tensors(ds, test, where), nets, seed, reporter, architecture, precision
    )
    return trial.run("students", lambda net: (samples, labels))


def test_split(ds: DistilledDataset, source: Source) -> Split:
    """Return the test split of ``source``, made sure to be of the same kind as the file.

    Raises UsageError where size, channels or classes differ, SourceError where there is no split.
    """
    image = ds.manifest.image
    ours = (image["height"], image["width"], image["channels"])
    theirs = (source.height, source.width, source.channels)
    if ours != theirs:
        raise UsageError(
            f"{source.where}: images are {'x'.join(map(str, theirs))} (height x width x channels), "
            f"the file is made for {'x'.join(map(str, ours))}; test on data of its own kind"
        )
    if len(source.classes) != len(ds.classes):
        raise UsageError(
            f"{source.where}: has {len(source.classes)} classes, the file {len(ds.classes)}; "
            "test on data of its own kind"
        )
    for index, (name, other) in enumerate(zip(ds.classes, source.classes, strict=True)):
        if name != other:
            raise UsageError(
                f"{source.where}: class {index} is '{other}', in the file it is '{name}'; "
                "test on data with the same classes in the same order"
            )
    return source.require_test()


def test_tensors(ds: DistilledDataset, test: Split, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return test images float32 (N, C, H, W), preprocessed, and labels int64 (N,) on ``device``.

    Raises UsageError for images of another size, no images, or labels that are no class.
    """
    labels = np.asarray(test.labels, dtype=np.int64)
    if len(labels) == 0 or len(labels) != len(test.images):
        raise UsageError(
            f"the test split has {len(test.images)} images and {len(labels)} labels; "
            "it needs at least one image and a label for each"
        )
    if labels.min() < 0 or labels.max() >= len(ds.classes):
        raise UsageError(
            f"the test labels run from {labels.min()} to {labels.max()}, the file has "
            f"{len(ds.classes)} classes; test on data of its own kind"
        )
    return ds.preprocess(test.images).to(device), torch.tensor(labels, device=device)


TrainingSet = Callable[[int], tuple["Samples", Tensor]]


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
        for name, value, least in (
            ("nets", self.nets, 1),
            ("steps", self.recipe.steps, 1),
            ("seed", self.seed, 0),
        ):
            if value < least:
                raise UsageError(f"{name} must be at least {least}, got {value}")

    def run(self, name: str, training_set: TrainingSet) -> Accuracy:
        """Train and test every network; network i learns from ``training_set(i)``.

        That is (samples, labels), labels float32 (N, classes), both on the device of the test.
        """
        steps = self.recipe.steps
        self.reporter.stage(name, steps * self.nets)
        start = time.perf_counter()
        scores = []
        with threads_for(self.recipe.net.height, self.recipe.net.width):
            for index in range(self.nets):
                samples, labels = training_set(index)
                student = self._train(index, samples, labels)
                scores.append(accuracy(student, *self.test, self._dtype))
        seconds = time.perf_counter() - start
        return Accuracy(
            float(np.mean(scores)), float(np.std(scores)), self.nets, steps, seconds, tuple(scores)
        )

    @property
    def _dtype(self) -> torch.dtype:
        return torch.bfloat16 if self.precision == "bfloat16" else torch.float32

    def _train(self, index: int, samples: Samples, labels: Tensor) -> Student:
        """Return network ``index`` after the last step, ready to be tested."""
        recipe = self.recipe
        device = labels.device
        random = generator(self.seed, "student", index)
        student = fresh(self.architecture, recipe.net, random, device)
        optimiser = torch.optim.AdamW(
            student.parameters, lr=recipe.lr, weight_decay=recipe.weight_decay, fused=True
        )
        random = generator(self.seed, "student augment", index)
        batches = endless_batches(
            samples, labels, recipe.batch_size, key(self.seed, "student order", index)
        )
        for step in range(1, recipe.steps + 1):
            x, y = next(batches)
            if recipe.augment != "none":
                x = augment(x, recipe.augment, random)
            optimiser.param_groups[0]["lr"] = recipe.rate(step - 1)
            loss, gradients = student.gradients(x, y, self._dtype)
            for weights, gradient in zip(student.parameters, gradients, strict=True):
                weights.grad = gradient
            optimiser.step()
            if step % REPORT_EVERY == 0 or step == recipe.steps:
                self.reporter.step(index * recipe.steps + step, float(loss))
        student.finish()
        return student


def endless_batches(
    samples: Samples, labels: Tensor, batch_size: int, seed: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Give batches for ever: the whole set where it fits in one, else epoch after epoch.

    A rest smaller than a batch is left out of its epoch, so that every step sees as many images.
    """
    count = len(samples)
    device = labels.device
    each = count // samples.variations
    if count <= batch_size and samples.shares is None and each == count:
        whole = samples.gather(torch.arange(count, device=device)), labels
        while True:
            yield whole
    batch_size = min(batch_size, each)
    epoch = 0
    while True:
        order = epoch_order(count, seed, epoch, samples.shares, samples.variations)
        order = order.to(device, non_blocking=True)
        for start in range(0, each - batch_size + 1, batch_size):
            index = order[start : start + batch_size]
            yield samples.gather(index), labels.index_select(0, index)
        epoch += 1


def accuracy(student: Student, x: Tensor, y: Tensor, dtype: torch.dtype = torch.float32) -> float:
    """Return the share of images x (N, C, H, W) whose largest logit is at y, int64 (N,)."""
    chunk = max(1, TEST_PIXELS // (x.shape[2] * x.shape[3]))
    right = torch.zeros((), dtype=torch.int64, device=x.device)
    for start in range(0, len(y), chunk):
        part = slice(start, start + chunk)
        right += (student.logits(x[part], dtype).argmax(1) == y[part]).sum()
    return int(right) / len(y)
