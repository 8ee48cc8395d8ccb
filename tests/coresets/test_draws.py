"""Random images and means of each class: whose they are, and that each student has its own."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ddcodec import SourceError
from ddcodec.coresets import draws
from ddcodec.coresets.draws import Points, images_by_class, k_means, mean_draw, random_draw
from ddcodec.runtime.rng import generator
from ddcodec.sources import Source, Split

CPU = torch.device("cpu")


def test_students_draw_images_of_their_own(rows_and_columns: Source) -> None:
    by_class = images_by_class(rows_and_columns)
    drawn = {random_draw(by_class, 0)(4, student).tobytes() for student in range(4)}
    assert len(drawn) == 4
    assert random_draw(by_class, 1)(4, 0).tobytes() not in drawn


def test_one_mean_a_class_is_its_average(rows_and_columns: Source) -> None:
    by_class = images_by_class(rows_and_columns)
    means = mean_draw(by_class, 0, CPU)(1, 0)
    assert means.shape == (2, 1, 8, 8, 1)
    for mean, group in zip(means, by_class, strict=True):
        assert np.abs(mean[0] - group[:].mean(0)).max() <= 0.5 + 1e-4


def test_several_means_find_the_clusters() -> None:
    points = torch.tensor([[0.0, 0], [0, 2], [50, 50], [50, 52], [52, 51]])
    found = {
        tuple(
            sorted(
                (round(x, 3), round(y, 3))
                for x, y in k_means(Points(points.numpy(), CPU), 2, random).tolist()
            )
        )
        for random in (generator(seed, "test") for seed in range(8))
    }
    assert found == {((0.0, 1.0), (50.667, 51.0))}


def test_means_begin_anew_for_each_student() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (2, 30, 4, 4, 1), dtype=np.uint8)
    means = [mean_draw(list(noise), 0, CPU)(5, student).tobytes() for student in (0, 0, 1)]
    assert means[0] == means[1]
    assert means[0] != means[2]


def test_as_many_means_as_points_are_the_points() -> None:
    points = torch.arange(12.0).reshape(6, 2) ** 2
    centres = k_means(Points(points.numpy(), CPU), 6, generator(0, "test"))
    assert sorted(centres.tolist()) == sorted(points.tolist())


def test_a_class_without_images_is_named(rows_and_columns: Source) -> None:
    split = rows_and_columns.train
    only_rows = Split(split.images[split.labels == 0], split.labels[split.labels == 0])
    with pytest.raises(SourceError, match="class 'column' has no training image"):
        images_by_class(Source("rows", rows_and_columns.classes, {"train": lambda: only_rows}))


@pytest.mark.parametrize("k", [1, 3])
def test_means_of_a_class_in_parts_are_those_of_the_whole(
    k: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = np.random.default_rng(0).integers(0, 256, (50, 4, 4, 3), np.uint8)
    whole = k_means(Points(images, CPU), k, generator(0, "test"))
    monkeypatch.setattr(draws, "POINTS_BYTES", 4 * 4 * 4 * 3 * 7)
    parts = Points(images, CPU)
    assert len(list(parts)) == 8
    assert torch.allclose(whole, k_means(parts, k, generator(0, "test")), atol=1e-3)


def test_a_class_without_one_of_the_chosen_images_is_named(rows_and_columns: Source) -> None:
    labels = rows_and_columns.train.labels
    with pytest.raises(SourceError, match="class 'column' has no training image"):
        images_by_class(rows_and_columns, np.flatnonzero(labels == 0))
    rows, columns = images_by_class(rows_and_columns, np.array([1, 5, 2]))
    assert np.array_equal(columns[:], rows_and_columns.train.images[[1, 5]])
    assert np.array_equal(rows[:], rows_and_columns.train.images[[2]])
