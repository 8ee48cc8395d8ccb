"""What fits into the same pixels and bytes, and how it is stored."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddcodec.coresets.budgets import (
    Budget,
    coded_bytes,
    enlarge,
    label_bytes,
    same_bytes,
    same_pixels,
    shrink,
)
from ddcodec.coresets.draws import images_by_class, random_draw
from ddcodec.sources import Source


def blank(classes: int, height: int, width: int, count: int = 4) -> list[np.ndarray]:
    return [np.zeros((count, height, width, 1), np.uint8) for _ in range(classes)]


@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    classes=st.integers(1, 12),
    share=st.floats(0, 1),
)
def test_same_pixels_never_exceed_the_budget(
    height: int, width: int, classes: int, share: float
) -> None:
    # From one pixel a class, the least there is, to more than all the images hold.
    pixels = round(classes * (1 + share * 5 * height * width))
    budget = same_pixels(pixels, blank(classes, height, width))
    rows, columns = budget.size
    assert classes * budget.per_class * rows * columns <= pixels
    assert 1 <= rows <= height
    assert 1 <= columns <= width
    assert 1 <= budget.per_class <= 4


@pytest.mark.parametrize(
    ("pixels", "height", "width", "expected"),
    [
        (2 * 64 * 3 + 63, 8, 8, Budget(3, (8, 8))),
        (2 * 64 * 9, 8, 8, Budget(4, (8, 8))),  # no class has more than four images
        (2 * 64, 8, 8, Budget(1, (8, 8))),
        (2 * 64 - 1, 8, 8, Budget(1, (7, 7))),
        (2 * 36 + 1, 8, 8, Budget(1, (6, 6))),
        (2 * 50, 20, 10, Budget(1, (10, 5))),
        (2 * 50, 100, 1, Budget(1, (50, 1))),
        (2 * 50, 1, 100, Budget(1, (1, 50))),
    ],
)
def test_same_pixels_by_hand(pixels: int, height: int, width: int, expected: Budget) -> None:
    assert same_pixels(pixels, blank(2, height, width)) == expected


@pytest.mark.parametrize("total", [20, 60, 130, 400, 1500])
def test_same_bytes_are_the_most_that_every_draw_fits(rows_and_columns: Source, total: int) -> None:
    by_class = images_by_class(rows_and_columns)

    def draw(k: int, student: int) -> np.ndarray:
        return random_draw(by_class, 0)(k, student)

    def largest(budget: Budget) -> int:
        draws = (shrink(draw(budget.per_class, student), budget.size) for student in range(3))
        return max(coded_bytes(images, 2) for images in draws)

    budget = same_bytes(total, by_class, draw, 3)
    assert largest(budget) <= total
    side = budget.size[0]
    assert budget.size == (side, side)
    more = Budget(1, (side + 1, side + 1)) if side < 8 else Budget(budget.per_class + 1, (8, 8))
    assert largest(more) > total


def test_same_bytes_stop_at_the_smallest_class() -> None:
    by_class = blank(2, 8, 8)
    budget = same_bytes(10**6, by_class, random_draw(by_class, 0), 2)
    assert budget == Budget(4, (8, 8))


def test_a_label_takes_two_bytes_from_257_classes_on() -> None:
    assert [label_bytes(classes) for classes in (1, 256, 257, 1000)] == [1, 1, 2, 2]
    images = np.zeros((5, 4, 4, 1), np.uint8)
    assert coded_bytes(images, 257) - coded_bytes(images, 256) == 5


@pytest.mark.parametrize("channels", [1, 3])
def test_stored_images_come_back_at_full_size(channels: int) -> None:
    ramp = np.linspace(0, 255, 16, dtype=np.uint8)
    image = np.broadcast_to(ramp[:, None, None], (16, 12, channels))
    stored = shrink(np.stack([image, image[::-1]])[None], (8, 6))
    assert stored.shape == (2, 8, 6, channels)
    back = enlarge(stored, (16, 12))
    assert back.shape == (2, 16, 12, channels)
    assert np.abs(back[0].astype(int) - image).max() < 20
    assert np.abs(back[1].astype(int) - image[::-1]).max() < 20
