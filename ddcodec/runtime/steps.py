"""The steps of a training: counted, reported, and kept so that an interruption costs seconds."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from . import checkpoint
from .progress import Reports

SNAPSHOT_SECONDS = 5.0  # at most this much work is lost by an interruption
SAVE_SECONDS = 60.0  # at most this much is lost by a process that is killed
TIMED_STEPS = 5


State = tuple[dict[str, Tensor], dict[str, Any]]


class Stepwise(Protocol):
    """A training whose randomness is keyed by the step, so that its state is the whole of it."""

    step: int

    def take_step(self) -> Tensor:
        """Take one step; return its loss, still on the device."""

    def state(self) -> State:
        """Return copies of tensors, and JSON values, that make a checkpoint."""

    def restore(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """Go back to a state."""


def take_steps(
    training: Stepwise, steps: int, path: Path, identity: str, tell: Callable[[int, float], None]
) -> None:
    """Take the steps that are left of ``steps``; ``tell`` step and loss, as ``Reports`` says.

    A checkpoint is written to ``path`` from time to time. Raises KeyboardInterrupt after saving it.
    """
    kept: State | None = training.state()
    reports = Reports(steps)
    taken = saved = time.monotonic()
    try:
        while training.step < steps:
            loss = training.take_step()
            training.step += 1
            if reports.due(training.step):
                tell(training.step, float(loss))
            now = time.monotonic()
            if now - taken >= SNAPSHOT_SECONDS:
                kept = None  # of a large network two states would be gigabytes
                kept, taken = training.state(), now
            if now - saved >= SAVE_SECONDS:
                assert kept is not None
                checkpoint.save(path, *kept, identity)
                saved = now
    except KeyboardInterrupt:
        # There is none only between two steps, where the training itself is whole.
        checkpoint.save(path, *(kept or training.state()), identity)
        raise


def seconds_per_step(training: Stepwise) -> float:
    """Return how long a step takes, a median; the training is left as it was."""
    before, times = training.state(), []
    for _ in range(TIMED_STEPS):
        start = time.monotonic()
        float(training.take_step())
        times.append(time.monotonic() - start)
    training.restore(*before)
    return statistics.median(times)
