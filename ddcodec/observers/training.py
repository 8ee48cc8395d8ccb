"""One training of an observer: SGD with Nesterov momentum, one cycle of its rate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from ..nn.augment import flip, shift
from ..nn.workarounds import keep_narrow_exact
from ..preprocessing.real import RealImages
from ..preprocessing.transform import Preprocess
from ..runtime.arguments import real, settle, text, whole
from ..runtime.device import has_bfloat16
from ..runtime.progress import Reporter
from ..runtime.rng import epoch_order, generator, seeded
from ..sources.base import Source
from ..sources.split import Split
from .build import initialise
from .memory import bytes_an_image, bytes_held, parts_of, room
from .networks import Observer
from .rounding import BITS, LEAST_BITS, MOST_BITS, Rounding
from .sgd import SGD
from .small_networks import SmallNetwork

TEST_PIXELS = 1 << 18  # at once, a bound on the memory for activations

Augment = Literal["auto", "none", "crop", "crop_flip"]
Precision = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True)
class Recipe:
    """How an observer is trained.

    Label smoothing makes a worse teacher (Mueller et al., 2019), and gained nothing in short
    trainings here. ``crop`` moves images by up to an eighth of a side, ``crop_flip`` also mirrors.
    """

    steps: int
    batch_size: int = 128
    lr: float = 0.1  # reached after a quarter of the steps from zero; then to zero, linearly
    momentum: float = 0.9  # Nesterov's
    weight_decay: float = 5e-4
    smoothing: float = 0.0  # share of each label that is spread evenly over all classes
    augment: Augment = "crop_flip"
    precision: Precision = "float32"  # of the convolutions; weights are float32
    bits: float = BITS  # about those of a weight of a small network, from the middle on

    def __post_init__(self) -> None:
        settle(
            self,
            steps=whole("steps", self.steps, 0),
            batch_size=whole("batch_size", self.batch_size, 2),
            lr=real("lr", self.lr, above=0),
            momentum=real("momentum", self.momentum, 0, below=1),
            weight_decay=real("weight_decay", self.weight_decay, 0),
            smoothing=real("smoothing", self.smoothing, 0, below=1),
            augment=text("augment", self.augment, get_args(Augment)),
            precision=text("precision", self.precision, get_args(Precision)),
            bits=real("bits", self.bits, LEAST_BITS, MOST_BITS),
        )

    def rate(self, step: int) -> float:
        """Return the learning rate of a step (0 for the first)."""
        warm = max(1, self.steps // 4)
        rise = (step + 1) / warm
        fall = (self.steps - step) / max(1, self.steps - warm)
        return self.lr * min(1.0, rise, fall)


def steps_of_epoch(images: int, batch: int) -> int:
    """Return the steps of a pass over training images: whole batches, of all where they are few."""
    return images // min(batch, images)


def settled(recipe: Recipe, source: Source, device: torch.device) -> Recipe:
    """Return the recipe with every ``auto`` decided."""
    if recipe.augment == "auto":
        recipe = replace(recipe, augment="crop" if source.channels == 1 else "crop_flip")
    if recipe.precision == "auto":
        recipe = replace(recipe, precision="bfloat16" if has_bfloat16(device) else "float32")
    return recipe


class Training:
    """One run. All randomness is keyed by the step, so a state of weights is the whole state."""

    def __init__(
        self,
        split: Split,
        network: Observer,
        preprocess: Preprocess,
        recipe: Recipe,
        seed: int,
        device: torch.device,
        total: int | None = None,
    ) -> None:
        """Begin with fresh weights; ``total`` are the most bytes of a small network in a file."""
        self.recipe, self.seed, self.device = recipe, seed, device
        self.network = initialise(network, generator(seed, "observer"))
        height, width, channels = split.images.shape[1:]
        keep_narrow_exact(self.network, channels, height, width).to(device)
        # The layout in which convolutions are fastest, on processors and accelerators alike.
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._rounding = None
        if isinstance(network, SmallNetwork):
            self._rounding = Rounding(network, recipe.bits, total)
        self._preprocess = preprocess
        self._images = RealImages(split.images, preprocess, device)
        self._labels = torch.from_numpy(split.labels).to(device)
        self._batch = min(recipe.batch_size, len(split))
        half = torch.bfloat16 if recipe.precision == "bfloat16" else None
        image_bytes = bytes_an_image(self.network, self._images[0:1][0], half)
        held = bytes_held(self.network, split.images, self._images.bytes_held)
        self.parts = parts_of(self._batch, image_bytes, room(device, held))
        self._order = (-1, torch.empty(0))
        self.step = 0
        weights = dict(self.network.named_parameters())
        self._optimiser = SGD(weights, recipe.momentum, recipe.weight_decay)

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches of the training images."""
        return steps_of_epoch(len(self._labels), self._batch)

    def plan(self, steps: int) -> None:
        """Fix the number of steps, which the learning rate follows."""
        self.recipe = replace(self.recipe, steps=steps)

    def tell_parts(self, reporter: Reporter) -> None:
        """Say where a batch is more than passes at once."""
        if self.parts > 1:
            reporter.note(
                f"observer: a batch of {self._batch} images passes in {self.parts} parts, for "
                f"memory; batch norm sees {-(-self._batch // self.parts)} at a time"
            )

    def accuracy(self, test: Split) -> float:
        """Return the share of test images whose largest logit is their class."""
        size = max(1, TEST_PIXELS // (test.images.shape[1] * test.images.shape[2]))
        right, images = 0, RealImages(test.images, self._preprocess, self.device)
        with torch.no_grad():
            for start in range(0, len(test), size):
                x = images[start : start + size]
                found = self.network(x.contiguous(memory_format=torch.channels_last)).argmax(1)
                right += int((found.cpu().numpy() == test.labels[start : start + size]).sum())
        return right / len(test)

    def restore(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        self.plan(meta["steps"])
        self.step, self.parts = meta["step"], meta["parts"]
        state = {name: value for name, value in tensors.items() if "/" not in name}
        self.network.load_state_dict(state)
        if isinstance(self.network, SmallNetwork):
            self.network.round_to(meta["round"])
        for name, moved in self._optimiser.moved.items():
            moved.copy_(tensors[f"momentum/{name}"])

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        moved = {f"momentum/{name}": tensor for name, tensor in self._optimiser.moved.items()}
        meta: dict[str, Any] = {"step": self.step, "steps": self.recipe.steps, "parts": self.parts}
        if isinstance(self.network, SmallNetwork):
            meta["round"] = self.network.step
        return {**self.network.state_dict(), **moved}, meta

    def finish(self) -> int | None:
        """Make the network ready to be tested; return the bytes of a small one in a file."""
        self.network.eval()
        return None if self._rounding is None else self._rounding.finish()

    def take_step(self) -> Tensor:
        self.network.train()
        if self._rounding is not None:
            self._rounding.before(self.step, self.recipe.steps)
        index = self._index()
        x = self._augmented(self._images[index])
        losses = []
        with seeded(self.device, self.seed, "dropout", self.step):
            pairs = zip(*(part.tensor_split(self.parts) for part in (x, index)), strict=True)
            for images, places in pairs:
                loss = self._loss(images, self._labels[places]) * (len(places) / len(index))
                loss.backward()  # type: ignore[no-untyped-call]
                losses.append(loss.detach())
        self._optimiser.step(self.recipe.rate(self.step))
        return torch.stack(losses).sum()

    def _loss(self, x: Tensor, labels: Tensor) -> Tensor:
        bfloat16 = self.recipe.precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=bfloat16):
            logits = self.network(x.contiguous(memory_format=torch.channels_last))
        return F.cross_entropy(logits.float(), labels, label_smoothing=self.recipe.smoothing)

    def _index(self) -> Tensor:
        epoch, place = divmod(self.step, self.steps_per_epoch)
        if self._order[0] != epoch:
            order = epoch_order(len(self._labels), self.seed, epoch).to(self.device)
            self._order = (epoch, order)
        return self._order[1][place * self._batch : (place + 1) * self._batch]

    def _augmented(self, x: Tensor) -> Tensor:
        random = generator(self.seed, "observer augment", self.step)
        if self.recipe.augment in ("crop", "crop_flip"):
            x = shift(x, random)
        return flip(x, random) if self.recipe.augment == "crop_flip" else x
