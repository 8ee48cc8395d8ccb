"""An observer from real images: planned, trained, tested and written to a file."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ..errors import InvalidFile, UsageError
from ..preprocessing.transform import Preprocess, fit_standardise
from ..runtime import checkpoint
from ..runtime.arguments import real, whole
from ..runtime.device import threads_for
from ..runtime.outputs import check_output, checkpoint_of
from ..runtime.progress import SILENT, Reporter
from ..runtime.steps import seconds_per_step, take_steps
from ..runtime.world import neutral
from ..sources.base import Source
from ..version import __version__
from .build import build
from .file import Description, load, save
from .rounding import NAME, with_size
from .small_networks import SmallNetwork
from .training import Recipe, Training, settled
from .weights import put_weights, read_checkpoint
from .zoo import LibraryObserver


@dataclass(frozen=True)
class Result:
    """What training gave.

    Attributes:
        architecture: of the network, with the size that was found.
        accuracy: on the test split (None without one), of the network as it is kept: rounded, where
            it is small.
        embedded_bytes: what a small network takes in a ``.ddset`` file, at most; None of others.
    """

    architecture: str
    accuracy: float | None
    steps: int
    digest: str
    seconds: float
    embedded_bytes: int | None = None


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
    total_bytes: int | None = None,
    reporter: Reporter = SILENT,
) -> Result:
    """Train an observer on the training split and write it to ``out``, whole or not at all.

    The test split is looked at once, at the end, for the accuracy that the file states.

    Args:
        source: the real data.
        architecture: a key of ``networks.ARCHITECTURES``, a model of a library (``zoo``), or
            ``residual-N``; ``residual`` is the widest that fits into ``total_bytes``, or with
            ``weights`` as wide as they are.
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
        total_bytes: the most that a small network may take in a ``.ddset`` file. Its weights are
            rounded from the middle of the training on, as coarsely as that asks for.

    Raises:
        UsageError: an argument is out of range. SourceError, OutputError: as elsewhere.
        CheckpointMismatch: the checkpoint belongs to another run.
        KeyboardInterrupt: interrupted; the checkpoint is saved.
    """
    epochs, seed = real("epochs", epochs, 0), whole("seed", seed, 0)
    seconds = None if seconds is None else real("seconds", seconds, above=0)
    total_bytes = None if total_bytes is None else whole("total_bytes", total_bytes, 1)
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
    classes = len(source.classes)
    if architecture == NAME and weights is not None:
        architecture = _stated(weights)
    architecture = with_size(architecture, shape, classes, total_bytes, recipe.bits)
    network = build(architecture, *shape, classes)
    given, came_from = (None, "") if weights is None else read_checkpoint(weights)
    if given is not None and isinstance(network, LibraryObserver):
        mean, std = network.statistics()
        spec: dict[str, Any] = {"kind": "standardise", "mean": mean, "std": std}
    else:
        spec = fit_standardise(source.train.images)
    preprocess = Preprocess(spec, *shape)
    training = Training(source.train, network, preprocess, recipe, seed, where, total_bytes)
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
    facts += [came_from, total_bytes]
    identity = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
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
        embedded = training.finish()
        reporter.stage("testing the observer", 0)
        score = None if source.test is None else training.accuracy(source.test)
    description = Description(
        network.architecture,
        source.classes,
        {"channels": shape[0], "height": shape[1], "width": shape[2], "preprocessing": spec},
        {"name": source.name, "count": len(source.train), "digest": source.digest()[:32]},
        {"steps": training.recipe.steps, "seed": seed, "tool": f"ddcodec {__version__}"}
        | ({"weights": came_from[:32]} if came_from else {})
        | ({"round": network.step} if isinstance(network, SmallNetwork) else {}),
        None if score is None else round(score, 4),
    )
    digest = save(out, training.network, description)
    saved_at.unlink(missing_ok=True)
    took = time.monotonic() - start
    return Result(network.architecture, score, training.recipe.steps, digest, took, embedded)


def _stated(weights: Path) -> str:
    """Return the architecture that an observer file states; raises UsageError for others."""
    try:
        return load(weights).description.architecture
    except InvalidFile:
        raise UsageError(
            f"{weights}: is no observer's file that states a size; name it, as in "
            "`architecture`=residual-42"
        ) from None
