"""Presets hold what the paper states, and no data set gets another's numbers by accident."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ddcodec.codecs.podd.layout import pixel_budget
from ddcodec.codecs.podd.order import class_grid
from ddcodec.codecs.podd.presets import GENERIC, PRESETS, network_depth, preset_for
from ddcodec.sources import Source, Split
from tests.helpers.plans import plan_of

PAPER = ("cifar10", "cifar100", "cub200", "tiny-imagenet")


@pytest.mark.parametrize(
    ("name", "patches", "distilled", "real", "window", "total", "outer", "lr", "depth"),
    [
        ("cifar10", 96, 96, 5000, 60, 200, 40_000, 1e-3, 3),
        ("cifar100", 400, 50, 2000, 100, 300, 50_000, 1e-3, 3),
        ("cub200", 1800, 200, 3000, 60, 200, 16_000, 1e-3, 3),
        ("tiny-imagenet", 800, 30, 500, 100, 300, 100_000, 5e-4, 4),
    ],
)
def test_presets_state_the_published_numbers(
    name: str,
    patches: int,
    distilled: int,
    real: int,
    window: int,
    total: int,
    outer: int,
    lr: float,
    depth: int,
) -> None:
    preset = preset_for(name)
    assert preset.patch_grid is not None
    assert preset.patch_grid[0] * preset.patch_grid[1] == patches
    assert (preset.distilled_batch, preset.real_batch) == (distilled, real)
    assert (preset.window, preset.total_steps, preset.outer_steps) == (window, total, outer)
    assert (preset.lr, preset.student_steps) == (lr, 2000)
    assert preset.shape is not None
    assert network_depth(*preset.shape[1:3]) == depth


@pytest.mark.parametrize("name", PRESETS)
def test_published_sizes_keep_to_their_budget(name: str) -> None:
    preset = PRESETS[name]
    assert preset.shape is not None
    n, h, w, _ = preset.shape
    assert preset.class_grid == class_grid(n)
    for ipc, (height, width) in preset.poster_sizes.items():
        assert height * width <= pixel_budget(ipc, n, h, w)
    assert (0.9 in preset.poster_sizes) == (name in PAPER)


def test_labels_are_fixed_only_where_the_paper_fixes_them() -> None:
    kinds = {ipc: preset_for("cifar10").labels(ipc) for ipc in (0.3, 0.6, 0.7, 0.9, 1.0)}
    assert kinds == {0.3: "learned", 0.6: "learned", 0.7: "fixed", 0.9: "fixed", 1.0: "fixed"}
    for name in PAPER[1:]:
        assert preset_for(name).labels(1.0) == "learned"


def test_a_data_set_is_known_by_its_name_or_its_shape() -> None:
    assert preset_for("cifar10") is PRESETS["cifar10"]
    assert preset_for("", (100, 32, 32, 3)) is PRESETS["cifar100"]
    assert preset_for("my-photos", (200, 64, 64, 3)) is PRESETS["tiny-imagenet"]
    assert preset_for("my-photos") is GENERIC
    assert preset_for("", (7, 28, 28, 1)) is GENERIC


def test_a_name_with_another_shape_is_another_data_set() -> None:
    assert preset_for("cifar10", (10, 16, 16, 3)) is GENERIC
    assert preset_for("cifar10", (100, 32, 32, 3)) is PRESETS["cifar100"]


def test_presets_cannot_be_changed() -> None:
    preset = preset_for("cifar100")
    with pytest.raises(dataclasses.FrozenInstanceError):
        preset.window = 1  # type: ignore[misc]
    with pytest.raises(TypeError):
        preset.poster_sizes[0.4] = (1, 1)  # type: ignore[index]
    with pytest.raises(TypeError):
        PRESETS["cifar10"] = GENERIC  # type: ignore[index]
    assert len({*PRESETS.values(), GENERIC}) == len(PRESETS) + 1


@pytest.mark.parametrize(
    ("channels", "side", "augment"),
    [(3, 32, "flip"), (1, 32, "none"), (3, 8, "none"), (1, 8, "none")],
)
def test_the_quick_profile_mirrors_photographs_only(channels: int, side: int, augment: str) -> None:
    rng = np.random.default_rng(0)
    split = Split(rng.integers(0, 256, (40, side, side, channels), np.uint8), np.arange(40) % 10)
    source = Source("some", tuple("abcdefghij"), {"train": lambda: split})
    plan = plan_of(source, profile="quick")
    last = plan.stages[-1]
    assert last.augment == augment
    assert plan.recipe()["augment"] == augment
    assert last.window == 20
    chosen = plan_of(source, profile="quick", augment="none")
    assert chosen.stages[-1].augment == "none"
