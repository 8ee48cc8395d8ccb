"""The recipe of packed images can learn images of any size, in a time that fits their number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ddcodec import load, pack
from ddcodec.codecs.shared.statement import SEEN, depth_seen, student_recipe
from ddcodec.evaluate import train_students
from ddcodec.judge.recipe import Recipe
from ddcodec.sources import Split

SHAPES = [(2, 2), (3, 3), (3, 5), (4, 4), (5, 6), (7, 7), (1, 8), (8, 1), (8, 8), (30, 7)]


@pytest.mark.parametrize(("height", "width"), SHAPES)
def test_images_of_any_size_are_learned(height: int, width: int, tmp_path: Path) -> None:
    random, y = np.random.default_rng(0), np.arange(60) % 2
    half = np.zeros((2, height, width), np.uint8)
    if height > 1:
        half[0, : (height + 1) // 2] = 200
    else:
        half[0, :, : (width + 1) // 2] = 200
    half[1, -1, -1] = 200
    x = (half[y] + random.integers(0, 30, (60, height, width))).astype(np.uint8)
    pack(x[:, None], y, ("first", "last"), tmp_path / "a.ddset")
    ds = load(tmp_path / "a.ddset")
    found = train_students(ds, Split(x[..., None], y), nets=1, steps=60, device="cpu")
    assert found.mean > 0.9


def test_the_last_block_sees_pixels_of_images_of_any_size() -> None:
    for height in range(1, 40):
        for width in range(1, 40):
            depth, h, w = depth_seen(height, width), height, width
            for _ in range(depth - 1):
                if min(h, w) >= 2:
                    h, w = h // 2, w // 2
            assert depth == 1 or h * w >= SEEN
            assert 1 <= student_recipe((3, height, width), 1, 1, 2)["network"]["depth"] <= depth


@pytest.mark.parametrize(("count", "steps"), [(1, 200), (10, 200), (100, 400), (3000, 1000)])
def test_few_images_take_few_steps(count: int, steps: int, tmp_path: Path) -> None:
    pack(np.zeros((count, 1, 8, 8), np.uint8), np.zeros(count, int), ["only"], tmp_path / "a.ddset")
    recipe = Recipe.of(load(tmp_path / "a.ddset").manifest)
    assert (recipe.steps, recipe.depth) == (steps, 3)


@pytest.mark.parametrize(
    ("images", "steps"), [(10, 8000), (270, 24_000), (5300, 24_000), (50_000, 62_500)]
)
def test_where_labels_live_steps_are_small_and_many(images: int, steps: int) -> None:
    stored, live = (student_recipe((3, 32, 32), images, 50, 10, live) for live in (False, True))
    assert (stored["batch_size"], live["batch_size"]) == (128, 16)
    assert (stored["steps"], live["steps"]) == (1000 * -(-images // 128), steps)
    assert live["steps"] * live["batch_size"] <= stored["steps"] * stored["batch_size"]
    assert student_recipe((3, 32, 32), 4, 1, 2, live=True)["batch_size"] == 4


def test_students_of_labels_that_live_see_each_of_many_images_as_often() -> None:
    recipe = student_recipe((3, 32, 32), 100_000, 1, 10, live=True)
    assert recipe["steps"] * recipe["batch_size"] == 20 * 100_000
