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
COPIED_BYTES = 1 << 29  # of a state, at most, that are copied for an interruption
TIMED_STEPS = 5


State = tuple[dict[str, Tensor], dict[str, Any]]


class Stepwise(Protocol):
    """A training whose randomness is keyed by the step, so that its state is the whole of it."""

    step: int

    def take_step(self) -> Tensor:
        """Take one step; return its loss, still on the device."""

    def state(self) -> State:
        """Return tensors as they are, and JSON values, that make a checkpoint."""

    def restore(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """Go back to a state."""


def take_steps(
    training: Stepwise, steps: int, path: Path, identity: str, tell: Callable[[int, float], None]
) -> None:
    """Take the steps that are left of ``steps``; ``tell`` step and loss, as ``Reports`` says.

    A checkpoint is written to ``path`` from time to time. Raises KeyboardInterrupt after saving
    one; of a large network what the last one holds is all there is if it comes within a step.
    """
    kept = _copied(training)
    reports = Reports(steps)
    taken = saved = time.monotonic()
    whole = True
    try:
        while training.step < steps:
            whole = False
            loss = training.take_step()
            training.step += 1
            whole = True
            if reports.due(training.step):
                tell(training.step, float(loss))
            now = time.monotonic()
            if now - taken >= SNAPSHOT_SECONDS:
                kept = None  # two of them would be a GB
                kept, taken = _copied(training), now
            if now - saved >= SAVE_SECONDS:
                checkpoint.save(path, *(kept or training.state()), identity)
                saved = now
    except KeyboardInterrupt:
        if kept or whole:
            checkpoint.save(path, *(kept or training.state()), identity)
        raise


def _copied(training: Stepwise) -> State | None:
    """Return a copy of a state on the CPU, None of one too large to have twice."""
    tensors, meta = training.state()
    if sum(tensor.nbytes for tensor in tensors.values()) > COPIED_BYTES:
        return None
    return _copy(tensors), meta


def _copy(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors.items()}


def seconds_per_step(training: Stepwise) -> float:
    """Return how long a step takes, a median; the training is left as it was."""
    tensors, meta = training.state()
    tensors, times = _copy(tensors), []
    for _ in range(TIMED_STEPS):
        start = time.monotonic()
        float(training.take_step())
        times.append(time.monotonic() - start)
    training.restore(tensors, meta)
    return statistics.median(times)
