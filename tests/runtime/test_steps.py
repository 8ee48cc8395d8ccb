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
    """A training that counts.

    ``interrupted`` says at which of its states a signal comes, ``within`` in which of its steps.
    """

    def __init__(self, interrupted: int = -1, within: int = -1) -> None:
        self.step, self.states, self.interrupted, self.within = 0, 0, interrupted, within
        self.weight = torch.zeros(1)

    def take_step(self) -> Tensor:
        self.weight += 1
        if self.step == self.within:
            raise KeyboardInterrupt
        return torch.zeros(())

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        self.states += 1
        if self.states - 1 == self.interrupted:
            raise KeyboardInterrupt
        return {"step": self.weight}, {"step": self.step}

    def restore(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        self.step = meta["step"]


def take(training: Counting, path: Path) -> None:
    take_steps(training, 5, path, "key", lambda *_: None)


def test_a_state_goes_before_the_next_one_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "SNAPSHOT_SECONDS", 0.0)
    made: list[weakref.ref[Tensor]] = []
    alive = []

    def copy(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        alive.append(any(one() is not None for one in made))
        copies = {name: tensor.clone() for name, tensor in tensors.items()}
        made.extend(map(weakref.ref, copies.values()))
        return copies

    monkeypatch.setattr(steps, "_copy", copy)
    take(Counting(), tmp_path / "run.checkpoint")
    assert alive == [False] * 6


def test_an_interruption_within_a_step_leaves_the_state_before_it(tmp_path: Path) -> None:
    path = tmp_path / "run.checkpoint"
    with pytest.raises(KeyboardInterrupt):
        take(Counting(within=2), path)
    tensors, meta = checkpoint.load(path, "key")
    assert meta["step"] == tensors["step"] == 0  # the latest copy is that of the beginning


@pytest.mark.parametrize("at", [{"within": 3}, {"interrupted": 3}])
def test_of_a_large_state_there_is_no_copy_and_the_last_checkpoint_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: dict[str, int]
) -> None:
    monkeypatch.setattr(steps, "COPIED_BYTES", 3)
    monkeypatch.setattr(steps, "_copy", None)
    monkeypatch.setattr(steps, "SAVE_SECONDS", 0.0)
    path = tmp_path / "run.checkpoint"
    with pytest.raises(KeyboardInterrupt):
        take(Counting(**at), path)
    tensors, meta = checkpoint.load(path, "key")
    assert meta["step"] == tensors["step"] == 3


def test_an_interruption_between_two_states_loses_no_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "SNAPSHOT_SECONDS", 0.0)
    path = tmp_path / "run.checkpoint"
    with pytest.raises(KeyboardInterrupt):
        take(Counting(interrupted=3), path)
    tensors, meta = checkpoint.load(path, "key")
    assert meta["step"] == tensors["step"] == 3
