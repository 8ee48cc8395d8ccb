"""One check for all arguments: numbers of any library are taken, and nothing else for one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ddcodec import UsageError, load, pack, sources
from ddcodec.observers.training import Recipe
from ddcodec.priors.train import PriorRecipe
from ddcodec.runtime.arguments import real, text, truth, whole
from ddcodec.runtime.rng import key
from ddcodec.sweep.grid import Settings

IMAGES = np.zeros((2, 1, 8, 8), np.float32) + np.arange(2, dtype=np.float32)[:, None, None, None]


@pytest.mark.parametrize("value", [2, np.int64(2), np.uint8(2), torch.tensor(2), np.array(2)])
def test_a_whole_number_of_any_library_is_taken(value: Any, digits_file: Path) -> None:
    assert type(whole("steps", value, 1)) is int
    assert key(value, "x") == key(2, "x")
    ds = load(digits_file)
    found, wanted = (
        next(iter(ds.batches(size, seed=size, epoch=size)))[0] for size in (value, 2)
    )  # fmt: skip
    assert torch.equal(found, wanted)
    assert torch.equal(
        next(iter(ds.stream(seed=value, batch_size=value)))[0],
        next(iter(ds.stream(seed=2, batch_size=2)))[0],
    )


@pytest.mark.parametrize(
    "value", [True, 2.0, 2.5, float("nan"), "2", None, [2], torch.tensor([2, 3]), np.float32(2)]
)
def test_nothing_else_is(value: Any, digits_file: Path) -> None:
    with pytest.raises(UsageError, match="`steps` must be a whole number"):
        whole("steps", value, 1)
    with pytest.raises(UsageError, match="`batch_size`"):
        load(digits_file).batches(value)


@pytest.mark.parametrize(
    "value", [0.5, np.float16(0.5), torch.tensor(0.5), torch.tensor(0.5, requires_grad=True)]
)
def test_a_number_of_any_library_is_taken(value: Any) -> None:
    assert real("lr", value, 0, 1) == 0.5
    assert type(real("lr", value)) is float


@pytest.mark.parametrize("value", [True, "1", None, float("nan"), np.inf, [1, 2], torch.ones(2)])
def test_no_other_is_a_number(value: Any) -> None:
    with pytest.raises(UsageError, match="`lr` must be a finite number, got") as error:
        real("lr", value)
    assert "\n" not in str(error.value)


def test_what_is_out_of_range_says_the_range() -> None:
    for bounds, words in {
        (0, 1): "from 0 to 1, got 2",
        (3, None): "at least 3, got 2",
        (None, 1): "at most 1, got 2",
    }.items():
        with pytest.raises(UsageError, match=f"`x` must be {words}"):
            real("x", 2, *bounds)
    with pytest.raises(UsageError, match="`x` must be more than 2, got 2"):
        real("x", 2, above=2)
    with pytest.raises(UsageError, match="`x` must be less than 2, got 2"):
        real("x", 2, below=2)


def test_truths_and_words() -> None:
    assert truth("x", np.True_) is truth("x", torch.tensor(True)) is True
    for value in ("False", 1, None, torch.ones(2)):
        with pytest.raises(UsageError, match="`x` must be True or False"):
            truth("x", value)
    with pytest.raises(UsageError, match="`x` must be one of a, b, got 'c'"):
        text("x", "c", ("a", "b"))
    with pytest.raises(UsageError, match="`x` must be text, got 3"):
        text("x", 3)


def test_a_large_array_is_named_by_its_kind() -> None:
    with pytest.raises(UsageError, match=r"a whole number, got ndarray$"):
        whole("x", np.zeros((100, 100)))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda out: Recipe(steps=1, lr=float("nan")), "`lr` must be a finite number"),
        (lambda out: Recipe(steps=1, momentum=1), "`momentum` must be less than 1"),
        (lambda out: Recipe(steps=1, augment="all"), "`augment` must be one of auto, none"),  # type: ignore[arg-type]
        (lambda out: Recipe(steps=1.5), "`steps` must be a whole number"),  # type: ignore[arg-type]
        (lambda out: PriorRecipe(steps="9"), "`steps` must be a whole number"),  # type: ignore[arg-type]
        (lambda out: PriorRecipe(lr=0), "`lr` must be more than 0"),
        (lambda out: PriorRecipe(views="all"), "`views` must be one of plain, wide"),  # type: ignore[arg-type]
        (lambda out: PriorRecipe(resolution=7), "`resolution` must be from 8"),
        (lambda out: Settings(nets=0), "`nets` must be at least 1"),
        (lambda out: sources.load("digits", size="8"), "`size` must be a whole number"),  # type: ignore[arg-type]
        (lambda out: sources.load("digits", size=0), "`size` must be from 1 to"),
        (lambda out: sources.load("digits", test_share=float("nan")), "`test_share` must be"),
        (lambda out: pack(IMAGES, None, "ab", out), "`classes` must be the names"),
        (lambda out: pack(IMAGES, None, ["a", "b"], out, bits=2.5), "`bits` must be a whole"),
        (lambda out: pack(IMAGES, None, ["a", "b"], out, bits=9), "`bits` must be from 2 to 8"),
        (lambda out: pack(IMAGES, None, ["a", "b"], out, name=3), "`name` must be text"),
        (lambda out: pack(IMAGES, None, ["a", "b"], out, overwrite="no"), "`overwrite` must be"),
    ],
)
def test_arguments_are_checked_by_it_everywhere(
    make: Callable[[Path], Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=words):
        make(tmp_path / "a.ddset")
    assert list(tmp_path.iterdir()) == []


def test_numbers_of_numpy_and_torch_are_taken_everywhere(tmp_path: Path) -> None:
    assert Recipe(steps=np.int32(1), lr=np.float32(0.5), batch_size=torch.tensor(4)).lr == 0.5  # type: ignore[arg-type]
    assert type(PriorRecipe(steps=np.int64(3), vae=np.True_).vae) is bool  # type: ignore[arg-type]
    assert sources.load("digits", size=torch.tensor(4)).train.images.shape[1] == 4  # type: ignore[arg-type]
    pack(IMAGES, None, ["a", "b"], tmp_path / "a.ddset", bits=np.int8(4), chunk=torch.tensor(1))  # type: ignore[arg-type]
    assert len(load(tmp_path / "a.ddset")) == 2
