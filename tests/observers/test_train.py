"""Training an observer: it learns, it is a function of its arguments, it resumes exactly."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ddcodec.errors import CheckpointMismatch, UsageError
from ddcodec.observers import training as module
from ddcodec.observers.file import load
from ddcodec.observers.train import train
from ddcodec.observers.training import Recipe
from ddcodec.sources import Source
from ddcodec.sources.split import Split
from tests.helpers.reporters import StopAt
from tests.helpers.small_models import OBSERVER as RECIPE


def test_it_learns_the_digits(observer_file: Path) -> None:
    accuracy = load(observer_file).description.accuracy
    assert accuracy is not None
    assert accuracy > 0.8


def test_equal_arguments_give_an_equal_digest(
    tmp_path: Path, digits: Source, observer_file: Path
) -> None:
    same = train(digits, "convnet3", tmp_path / "a", epochs=2, recipe=RECIPE)
    assert same.digest == load(observer_file).digest
    other = train(digits, "convnet3", tmp_path / "b", epochs=0.3, recipe=RECIPE, seed=1)
    assert other.digest != same.digest
    assert other.steps == 13


def test_a_run_goes_on_after_an_interruption_as_if_there_had_been_none(
    tmp_path: Path, digits: Source, observer_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ddcodec.runtime.steps.SNAPSHOT_SECONDS", 0.0)
    out = tmp_path / "o"
    with pytest.raises(KeyboardInterrupt):
        train(digits, "convnet3", out, epochs=2, recipe=RECIPE, reporter=StopAt(10))
    assert not out.exists()
    saved = out.with_name("o.checkpoint")
    assert saved.exists()
    with pytest.raises(CheckpointMismatch):
        train(digits, "convnet3", out, epochs=3, recipe=RECIPE, resume=True)
    whole = train(digits, "convnet3", out, epochs=2, recipe=RECIPE, resume=True)
    assert whole.digest == load(observer_file).digest
    assert not saved.exists()


def test_a_length_of_time_is_kept(tmp_path: Path, digits: Source) -> None:
    start = time.monotonic()
    result = train(digits, "convnet3", tmp_path / "o", seconds=2, recipe=RECIPE)
    assert result.steps >= 1
    assert time.monotonic() - start < 30  # a busy machine


def test_the_rate_rises_for_a_quarter_and_ends_near_zero() -> None:
    recipe = Recipe(steps=40, lr=0.2)
    rates = [recipe.rate(step) for step in range(40)]
    assert max(rates) == rates[10] == pytest.approx(0.2)
    assert 0 < rates[-1] < 0.01
    assert 0 < rates[0] < 0.05
    assert Recipe(steps=1).rate(0) > 0


def test_auto_mirrors_colour_images_only() -> None:
    grey = Source(
        "g",
        ("a",),
        {"train": lambda: Split(np.zeros((2, 8, 8, 1), np.uint8), np.zeros(2, np.int64))},
    )
    colour = Source(
        "c",
        ("a",),
        {"train": lambda: Split(np.zeros((2, 8, 8, 3), np.uint8), np.zeros(2, np.int64))},
    )
    auto = Recipe(steps=1, augment="auto", precision="auto")
    device = module.torch.device("cpu")
    assert module.settled(auto, grey, device).augment == "crop"
    assert module.settled(auto, colour, device).augment == "crop_flip"
    assert module.settled(auto, grey, device).precision in ("float32", "bfloat16")


def test_a_source_without_a_test_split_gives_no_accuracy(tmp_path: Path, digits: Source) -> None:
    alone = Source("alone", digits.classes, {"train": lambda: digits.train})
    result = train(alone, "convnet3", tmp_path / "o", epochs=0.1, recipe=RECIPE)
    assert result.accuracy is None
    assert load(tmp_path / "o").description.accuracy is None


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"epochs": 0}, "`epochs`"),
        ({"seconds": -1.0}, "`seconds`"),
        ({"seed": -1}, "`seed`"),
    ],
)
def test_arguments_out_of_range_are_named(
    wrong: dict[str, object], words: str, tmp_path: Path, digits: Source
) -> None:
    with pytest.raises(UsageError, match=words):
        train(digits, "convnet3", tmp_path / "o", **wrong)  # type: ignore[arg-type]


def test_labels_are_not_spread_altogether() -> None:
    with pytest.raises(UsageError, match="`smoothing` must be less than 1, got 1"):
        replace(RECIPE, smoothing=1.0)
