"""Training an observer on real images: SGD with Nesterov momentum, one cycle of its rate."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import UsageError
from ..nn.augment import flip, shift
from ..nn.workarounds import keep_narrow_exact
from ..preprocessing.real import RealImages
from ..preprocessing.transform import Preprocess, fit_standardise
from ..runtime import checkpoint
from ..runtime.arguments import real, settle, text, whole
from ..runtime.device import has_bfloat16, threads_for
from ..runtime.outputs import check_output, checkpoint_of
from ..runtime.progress import SILENT, Reporter
from ..runtime.rng import epoch_order, generator, seeded
from ..runtime.steps import seconds_per_step, take_steps
from ..runtime.world import neutral
from ..sources.base import Source
from ..sources.split import Split
from ..version import __version__
from .build import build, initialise
from .file import Description, save
from .memory import bytes_an_image, bytes_held, parts_of, room
from .networks import Observer
from .sgd import SGD
from .weights import put_weights, read_checkpoint
from .zoo import LibraryObserver

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
        )

    def rate(self, step: int) -> float:
        """Return the learning rate of a step (0 for the first)."""
        warm = max(1, self.steps // 4)
        rise = (step + 1) / warm
        fall = (self.steps - step) / max(1, self.steps - warm)
        return self.lr * min(1.0, rise, fall)


@dataclass(frozen=True)
class Result:
    """What training gave: accuracy on the test split (None without one), steps, digest."""

    accuracy: float | None
    steps: int
    digest: str
    seconds: float


@neutral()
def train(
    source: Source,
    architecture: str,
    out: Path,
    *,
    epochs: float = 30,
    seconds: float | None = None,
    recipe: Recipe = Recipe(steps=1),
    seed: int = 0,
    device: torch.device | str = "cpu",
    resume: bool = False,
    weights: Path | None = None,
    reporter: Reporter = SILENT,
) -> Result:
    """Train an observer on the training split and write it to ``out``, whole or not at all.

    The test split is looked at once, at the end, for the accuracy that the file states.

    Args:
        source: the real data.
        architecture: a key of ``networks.ARCHITECTURES``, or a model of a library (``zoo``).
        epochs: passes over the training images, 0 to take ``weights`` as they are; seconds: as
            many as fit, instead.
        recipe: everything else; its ``steps`` are set here. ``augment`` ``auto`` mirrors images
            in colour only (grey ones are often writing), ``precision`` ``auto`` takes bfloat16
            where the processor has instructions for it. A batch that memory does not hold passes
            in parts whose gradients are added up, and a note says so.
        seed: >= 0; equal arguments give an equal digest on a machine.
        resume: go on from ``<out>.checkpoint`` if it exists.
        weights: a local checkpoint to begin from (``weights.read_checkpoint``). Weights for
            another number of classes stay random. A library's model then sees images as its
            published weights expect them, not standardised by these.

    Raises:
        UsageError: an argument is out of range. SourceError, OutputError: as elsewhere.
        CheckpointMismatch: the checkpoint belongs to another run.
        KeyboardInterrupt: interrupted; the checkpoint is saved.
    """
    epochs, seed = real("epochs", epochs, 0), whole("seed", seed, 0)
    seconds = None if seconds is None else real("seconds", seconds, above=0)
    untouched = epochs == 0 and weights is not None and seconds is None
    if epochs == 0 and not untouched:
        raise UsageError(f"`epochs` must be more than 0 (0 only with `weights`), got {epochs:g}")
    if len(source.train) < 2:
        raise UsageError(f"{source.where}: an observer needs at least two training images")
    check_output(out, overwrite=True)  # whether it may be replaced is the caller's to ask
    where = torch.device(device)
    reporter.stage("preparing the images", 0)
    recipe = settled(recipe, source, where)
    shape = (source.channels, source.height, source.width)
    network = build(architecture, *shape, len(source.classes))
    given, came_from = (None, "") if weights is None else read_checkpoint(weights)
    if given is not None and isinstance(network, LibraryObserver):
        mean, std = network.statistics()
        spec: dict[str, Any] = {"kind": "standardise", "mean": mean, "std": std}
    else:
        spec = fit_standardise(source.train.images)
    training = Training(source.train, network, Preprocess(spec, *shape), recipe, seed, where)
    if given is not None:
        fresh = put_weights(training.network, given, str(weights))
        if fresh:
            reporter.note(f"{weights}: is for other classes; {', '.join(fresh)} begin at random")
        if fresh and untouched:
            raise UsageError(
                f"{weights}: is for other classes, so it must be trained; not 0 epochs"
            )
    asked = {"epochs": epochs} if seconds is None else {"seconds": seconds}
    facts = [network.architecture, asdict(recipe), asked, seed, source.digest(), __version__]
    identity = hashlib.sha256(json.dumps([*facts, came_from], sort_keys=True).encode()).hexdigest()
    saved_at = checkpoint_of(out)
    start = time.monotonic()
    with threads_for(source.height, source.width):
        if resume and saved_at.exists():
            training.restore(*checkpoint.load(saved_at, identity))
        elif seconds is None:
            least = 0 if untouched else 1
            training.plan(max(least, round(epochs * training.steps_per_epoch)))
        else:
            reporter.stage("timing a few steps", 0)
            cost = seconds_per_step(training)
            left = seconds - (time.monotonic() - start)
            training.plan(max(1, int(left / cost)))
        training.tell_parts(reporter)
        reporter.stage("observer", training.recipe.steps)
        take_steps(training, training.recipe.steps, saved_at, identity, reporter.step)
        training.network.eval()
        reporter.stage("testing the observer", 0)
        score = None if source.test is None else training.accuracy(source.test)
    description = Description(
        network.architecture,
        source.classes,
        {"channels": shape[0], "height": shape[1], "width": shape[2], "preprocessing": spec},
        {"name": source.name, "count": len(source.train), "digest": source.digest()[:32]},
        {"steps": training.recipe.steps, "seed": seed, "tool": f"ddcodec {__version__}"}
        | ({"weights": came_from[:32]} if came_from else {}),
        None if score is None else round(score, 4),
    )
    digest = save(out, training.network, description)
    saved_at.unlink(missing_ok=True)
    return Result(score, training.recipe.steps, digest, time.monotonic() - start)


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
    ) -> None:
        self.recipe, self.seed, self.device = recipe, seed, device
        self.network = initialise(network, generator(seed, "observer"))
        height, width, channels = split.images.shape[1:]
        keep_narrow_exact(self.network, channels, height, width).to(device)
        # The layout in which convolutions are fastest, on processors and accelerators alike.
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
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
        return len(self._labels) // self._batch

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
        for name, moved in self._optimiser.moved.items():
            moved.copy_(tensors[f"momentum/{name}"])

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        moved = {f"momentum/{name}": tensor for name, tensor in self._optimiser.moved.items()}
        meta = {"step": self.step, "steps": self.recipe.steps, "parts": self.parts}
        return {**self.network.state_dict(), **moved}, meta

    def take_step(self) -> Tensor:
        self.network.train()
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
