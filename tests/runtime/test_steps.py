"""Steps that are counted and kept: one state at a time, and none is lost."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ddcodec.runtime import checkpoint, steps
from ddcodec.runtime.steps import take_steps


class Counting:
    """A training that counts; ``interrupted`` says at which of its states a signal comes."""

    def __init__(self, interrupted: int = -1) -> None:
        self.step, self.states, self.interrupted = 0, 0, interrupted
        self.latest: weakref.ref[Tensor] | None = None
        self.alive: list[bool] = []

    def take_step(self) -> Tensor:
        return torch.zeros(())

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        self.alive.append(self.latest is not None and self.latest() is not None)
        self.states += 1
        if self.states - 1 == self.interrupted:
            raise KeyboardInterrupt
        tensor = torch.full((1,), self.step)
        self.latest = weakref.ref(tensor)
        return {"step": tensor}, {"step": self.step}

    def restore(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        self.step = meta["step"]


def take(training: Counting, path: Path) -> None:
    take_steps(training, 5, path, "key", lambda *_: None)


def test_a_state_goes_before_the_next_one_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "SNAPSHOT_SECONDS", 0.0)
    training = Counting()
    take(training, tmp_path / "run.checkpoint")
    assert training.alive == [False] * 6


def test_an_interruption_between_two_states_loses_no_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "SNAPSHOT_SECONDS", 0.0)
    path = tmp_path / "run.checkpoint"
    with pytest.raises(KeyboardInterrupt):
        take(Counting(interrupted=3), path)
    tensors, meta = checkpoint.load(path, "key")
    assert meta["step"] == tensors["step"] == 3
