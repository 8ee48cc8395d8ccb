"""What else the same pixels or bytes could hold: budgets, draws, means, and how well they teach."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ddcodec import DistilledDataset, SourceError, encode, load
from ddcodec.evaluate.baselines import (
    Budget,
    baselines,
    batch_for,
    class_means,
    coded_bytes,
    enlarge,
    images_by_class,
    k_means,
    label_bytes,
    random_images,
    same_bytes,
    same_pixels,
    shrink,
    stored_pixels,
)
from ddcodec.judge.recipe import Recipe
from ddcodec.runtime.rng import generator
from ddcodec.sources import Source, Split

CPU = torch.device("cpu")


def lines(per_class: int = 16, noise: float = 12.0) -> Source:
    """One bright row against one bright column: shape alone tells them apart."""
    random = np.random.default_rng(7)

    def split() -> Split:
        labels = np.arange(2 * per_class) % 2
        images = np.full((2 * per_class, 8, 8), 40.0)
        images[labels == 0, 3] = 220
        images[labels == 1, :, 3] = 220
        noisy = np.clip(images + random.normal(0, noise, images.shape), 0, 255)
        return Split(noisy.astype(np.uint8)[..., None], labels.astype(np.int64))

    return Source("lines", ("row", "column"), {"train": split, "test": split})


@pytest.fixture(scope="module")
def source() -> Source:
    return lines()


@pytest.fixture(scope="module")
def ds(tmp_path_factory: pytest.TempPathFactory, source: Source) -> DistilledDataset:
    path: Path = tmp_path_factory.mktemp("lines") / "lines.ddset"
    encode(source, ipc=1.0, out=path, steps=2)
    return load(path)


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
def test_same_bytes_are_the_most_that_every_draw_fits(source: Source, total: int) -> None:
    by_class = images_by_class(source)

    def draw(k: int, student: int) -> np.ndarray:
        return random_images(by_class, k, (0, student))

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
    budget = same_bytes(10**6, by_class, lambda k, s: random_images(by_class, k, (0, s)), 2)
    assert budget == Budget(4, (8, 8))


def test_a_label_takes_two_bytes_from_257_classes_on() -> None:
    assert [label_bytes(classes) for classes in (1, 256, 257, 1000)] == [1, 1, 2, 2]
    images = np.zeros((5, 4, 4, 1), np.uint8)
    assert coded_bytes(images, 257) - coded_bytes(images, 256) == 5


def test_students_draw_images_of_their_own(source: Source) -> None:
    by_class = images_by_class(source)
    draws = {random_images(by_class, 4, (0, student)).tobytes() for student in range(4)}
    assert len(draws) == 4
    assert random_images(by_class, 4, (1, 0)).tobytes() not in draws


def test_one_mean_a_class_is_its_average(source: Source) -> None:
    by_class = images_by_class(source)
    means = class_means(by_class, 1, (0, 0), CPU)
    assert means.shape == (2, 1, 8, 8, 1)
    for mean, group in zip(means, by_class, strict=True):
        assert np.abs(mean[0] - group.mean(0)).max() <= 0.5 + 1e-4


def test_several_means_find_the_clusters() -> None:
    points = torch.tensor([[0.0, 0], [0, 2], [50, 50], [50, 52], [52, 51]])
    found = {
        tuple(sorted((round(x, 3), round(y, 3)) for x, y in k_means(points, 2, random).tolist()))
        for random in (generator(seed, "test") for seed in range(8))
    }
    assert found == {((0.0, 1.0), (50.667, 51.0))}


def test_means_begin_anew_for_each_student() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (2, 30, 4, 4, 1), dtype=np.uint8)
    means = [class_means(list(noise), 5, (0, student), CPU).tobytes() for student in (0, 0, 1)]
    assert means[0] == means[1]
    assert means[0] != means[2]


def test_as_many_means_as_points_are_the_points() -> None:
    points = torch.arange(12.0).reshape(6, 2) ** 2
    centres = k_means(points, 6, generator(0, "test"))
    assert sorted(centres.tolist()) == sorted(points.tolist())


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


def test_a_class_without_images_is_named(source: Source) -> None:
    split = source.train
    only_rows = Split(split.images[split.labels == 0], split.labels[split.labels == 0])
    with pytest.raises(SourceError, match="class 'column' has no training image"):
        images_by_class(Source("rows", source.classes, {"train": lambda: only_rows}))


def test_every_baseline_learns_what_is_easy(ds: DistilledDataset, source: Source) -> None:
    found = baselines(ds, source, nets=2, steps=30, full_steps=20, device="cpu")
    kinds = [f"{kind}_same_{what}" for what in ("pixels", "bytes") for kind in KINDS]
    assert list(found) == [*kinds, "full_data"]
    for name, entry in found.items():
        assert entry["accuracy_mean"] > 0.95, name
        height, width = entry["stored_size"]
        assert entry["pixels"] == 2 * entry["images_per_class"] * height * width
        if name.endswith("same_pixels"):
            assert entry["pixels"] <= stored_pixels(ds)
        if name.endswith("same_bytes"):
            assert entry["bytes"] <= ds.file.sizes.total
    assert found["full_data"]["bytes"] == 32 * 64 + 32


KINDS = ("random_images", "class_means")


@pytest.mark.parametrize(
    ("batch", "images", "passes", "expected"),
    [(18, 700, 20, 140), (18, 700, 0, 18), (18, 80, 20, 18), (18, 9000, 20, 256), (500, 9, 1, 500)],
)
def test_batches_grow_until_every_image_is_seen_often_enough(
    ds: DistilledDataset, batch: int, images: int, passes: int, expected: int
) -> None:
    recipe = replace(Recipe.of(ds.manifest), steps=100, batch_size=batch)
    assert batch_for(recipe, images, passes) == expected


def test_the_same_seed_gives_the_same_figures(ds: DistilledDataset) -> None:
    hard = lines(noise=90)
    first, again, other = (
        baselines(ds, hard, nets=2, steps=2, seed=seed, full_steps=1, device="cpu")
        for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other
