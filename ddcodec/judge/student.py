"""One network learns from images and soft labels, and is tested."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal, Protocol, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..nn.views import Teacher, drawn
from ..observers.memory import bytes_an_image, parts_of
from ..preprocessing.real import RealImages
from ..runtime.progress import Reports
from ..runtime.rng import epoch_order, generator, key, seeded
from .recipe import Recipe

Precision = Literal["float32", "bfloat16"]
PRECISIONS = get_args(Precision)
TestImages = Tensor | RealImages

MOMENTUM = 0.9  # of SGD
TEST_PIXELS = 1 << 19  # at once, a bound on the memory for activations
WHOLE_PIXELS = 1 << 18  # of a batch that is never divided
PASS_BYTES = 5 << 29  # of what one that is divided keeps for the way back, and works with


class Images(Protocol):
    """Training images on one device, preprocessed; see ``codecs.samples.Samples``."""

    shares: tuple[float, ...] | None
    variations: int

    def __len__(self) -> int:
        """Return how many there are."""

    def gather(self, index: Tensor) -> Tensor:
        """Return the images at ``index`` (int64 (B,)) as float32 (B, C, H, W)."""


def train(
    network: nn.Module,
    images: Images,
    labels: Tensor,
    recipe: Recipe,
    seed: tuple[int, int],
    precision: Precision = "float32",
    report: Callable[[int, Tensor], None] | None = None,
    before: Callable[[int], None] | None = None,
    teacher: Teacher | None = None,
) -> None:
    """Train ``network`` in place by ``recipe``; it is ready to be tested then.

    Args:
        network: from ``fresh``, on the device of the labels.
        images, labels: N images and their soft labels float32 (N, classes), on one device.
        recipe: steps, batches, optimiser and augmentation; one that mixes images mixes labels.
        seed: (seed, number of the network), the key of all that is drawn.
        precision: of convolutions; weights, norms' statistics and the loss are float32.
        report: told of steps as ``Reports`` says: the number from 1, the loss (0-d).
        before: told of every step, from 1, before it is taken; may change the network.
        teacher: labels the images anew that the recipe augments, on the device of the labels.
    """
    first, index = seed
    kind = labels.device.type
    optimiser = _optimiser(network, recipe)
    random = generator(first, "student augment", index)
    batches = endless_batches(images, labels, recipe.batch_size, key(first, "student order", index))
    half = torch.bfloat16 if precision == "bfloat16" else torch.float32
    network.train()
    reports, parts = Reports(recipe.steps), 0
    with seeded(labels.device, first, "student dropout", index):
        for step in range(1, recipe.steps + 1):
            if before is not None:
                before(step)
            x, y = next(batches)
            x, y = drawn(x, y, recipe.augment, random, teacher, half)
            optimiser.param_groups[0]["lr"] = recipe.rate(step - 1)
            optimiser.zero_grad()
            parts = parts or parts_for(network, x, precision)
            losses = []
            for images_of, wanted in zip(x.tensor_split(parts), y.tensor_split(parts), strict=True):
                with torch.autocast(kind, torch.bfloat16, enabled=precision == "bfloat16"):
                    logits = network(images_of)
                loss = F.cross_entropy(logits.float(), wanted) * (len(wanted) / len(y))
                loss.backward()  # type: ignore[no-untyped-call]
                losses.append(loss.detach())
            optimiser.step()
            if report is not None and reports.due(step):
                report(step, torch.stack(losses).sum())
    network.eval()


def parts_for(network: nn.Module, x: Tensor, precision: Precision) -> int:
    """Return into how many parts a batch (B, C, H, W) is divided, so that its passes fit.

    It follows from sizes alone, so results are the same on every machine: sums of parts are
    rounded elsewhere, and batch norm takes its statistics from the images of a part.
    """
    count, _, height, width = x.shape
    if count * height * width <= WHOLE_PIXELS:
        return 1
    half = torch.bfloat16 if precision == "bfloat16" else None
    return parts_of(count, bytes_an_image(network, x[0], half), PASS_BYTES)


def _optimiser(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    how: dict[str, Any] = {"lr": recipe.lr, "weight_decay": recipe.weight_decay, "fused": True}
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(network.parameters(), momentum=MOMENTUM, **how)
    return torch.optim.AdamW(network.parameters(), **how)


def accuracy(
    network: Callable[[Tensor], Tensor], x: TestImages, y: Tensor, precision: Precision = "float32"
) -> float:
    """Return the share of images x (N, C, H, W) whose largest logit is at y, int64 (N,).

    ``network`` is one, or whatever else gives (B, classes) of which the largest is its answer.
    """
    chunk = max(1, TEST_PIXELS // (x.shape[2] * x.shape[3]))
    right = torch.zeros((), dtype=torch.int64, device=x.device)
    half = torch.autocast(x.device.type, torch.bfloat16, enabled=precision == "bfloat16")
    with torch.no_grad(), half:
        for start in range(0, len(y), chunk):
            part = slice(start, start + chunk)
            right += (network(x[part]).argmax(1) == y[part]).sum()
    return int(right) / len(y)


def endless_batches(
    images: Images, labels: Tensor, batch_size: int, seed: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Give batches for ever: the whole set where it fits in one, else epoch after epoch.

    A rest smaller than a batch is left out of its epoch, so that every step sees as many images.
    """
    count = len(images)
    device = labels.device
    each = count // images.variations
    if count <= batch_size and images.shares is None and each == count:
        whole = images.gather(torch.arange(count, device=device)), labels
        while True:
            yield whole
    batch_size = min(batch_size, each)
    epoch = 0
    while True:
        order = epoch_order(count, seed, epoch, images.shares, images.variations)
        order = order.to(device, non_blocking=True)
        for start in range(0, each - batch_size + 1, batch_size):
            index = order[start : start + batch_size]
            yield images.gather(index), labels.index_select(0, index)
        epoch += 1
