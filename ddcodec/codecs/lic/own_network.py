"""The network that labels views, trained for the file that will hold it."""

from __future__ import annotations

import time
from pathlib import Path

import torch

from ...observers.file import Trained, load
from ...observers.rounding import NAME
from ...observers.train import train
from ...observers.training import Recipe, steps_of_epoch
from ..base import Request
from .options import EPOCHS, LIC

# Of the bytes of the file, before images are counted in whole numbers a class: more images teach
# better than a network that knows more (docs/lic.md).
NETWORK_SHARE = 0.2
# Of `time`: for testing the network, choosing images and writing the file; and for the training
# at least, however long reading took.
LATER_SHARE, LEAST_SHARE = 0.05, 0.3
FILE = "network.safetensors"
RECIPE = Recipe(steps=1, augment="auto", precision="auto")  # but for the steps, which follow


def training_seconds(request: Request, options: LIC) -> float | None:
    """Return how long the training may take from now on; None where epochs are counted."""
    if options.time is None:
        return None
    spent = time.monotonic() - request.started
    return max(LEAST_SHARE * options.time, (1 - LATER_SHARE) * options.time - spent)


def own_network(
    request: Request,
    options: LIC,
    folder: Path,
    total: int,
    seconds: float | None,
    device: torch.device,
) -> None:
    """Train the widest network of ``total`` bytes to ``folder / FILE``, unless it is there.

    What is in the folder belongs to this encode; an interrupted training is continued.
    """
    out = folder / FILE
    if out.exists():
        return
    result = train(
        request.source,
        NAME,
        out,
        epochs=EPOCHS if options.epochs is None else options.epochs,
        seconds=seconds,
        recipe=RECIPE,
        seed=request.seed,
        device=device,
        resume=True,
        total_bytes=total,
        reporter=request.reporter,
    )
    tested = "" if result.accuracy is None else f", {100 * result.accuracy:.1f} % on the test split"
    request.reporter.result(
        f"network: {result.architecture}{tested}, {result.steps:,} steps, at most "
        f"{result.embedded_bytes:,} bytes in the file"
    )


def trained(folder: Path) -> Trained:
    """Return the network that ``own_network`` left in a folder."""
    return load(folder / FILE)


def epochs_of(network: Trained, images: int) -> float:
    """Return the epochs that make the same network again, of so many training images."""
    steps = network.description.training["steps"]
    return float(steps / steps_of_epoch(images, RECIPE.batch_size))
