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
    ("images", "regions", "batch", "steps"),
    [
        *[(2, 1, 2, 1000), (10, 1, 10, 1000), (10, 5, 16, 3125), (10, 50, 16, 8000)],
        *[(270, 1, 16, 24_000), (5300, 1, 16, 24_000), (50_000, 1, 16, 62_500)],
    ],
)
def test_where_labels_live_steps_are_small_and_no_more_images_are_seen(
    images: int, regions: int, batch: int, steps: int
) -> None:
    stored, live = (
        student_recipe((3, 32, 32), images, regions, 10, live) for live in (False, True)
    )
    assert stored["batch_size"] == min(128, images * regions)
    assert stored["steps"] == 1000 * -(-images // 128)
    assert (live["batch_size"], live["steps"]) == (batch, steps)
    assert live["steps"] * batch <= stored["steps"] * stored["batch_size"]
