"""The label arrays of the published code: its sizes, and which classes they leave out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ddcodec import encode, info, load, verify
from ddcodec.codecs.podd.order import ClassOrder
from ddcodec.codecs.podd.reference import reference_grid, reference_owners
from ddcodec.sources import Source
from tests.codecs.test_class_counts import plan


@pytest.mark.parametrize(
    ("poster", "grid", "array", "owners"),
    [
        ((40, 102), (5, 2), (6, 1), 5),  # CIFAR-10 at 0.4 images per class
        ((43, 95), (5, 2), (4, 2), 8),
        ((202, 202), (10, 10), (10, 10), 100),  # CIFAR-100 at 0.4
        ((303, 303), (10, 10), (9, 10), 90),  # CIFAR-100 at 0.9
        ((302, 610), (20, 10), (21, 9), 180),  # CUB200 at 0.9
        ((608, 1211), (20, 10), (19, 10), 190),  # Tiny-ImageNet at 0.9
        ((8, 8), (1, 1), (1, 1), 1),
    ],
)
def test_arrays_have_the_sizes_and_owners_of_the_published_code(
    poster: tuple[int, int], grid: tuple[int, int], array: tuple[int, int], owners: int
) -> None:
    assert reference_grid(poster, grid) == array
    order = ClassOrder(grid, tuple(range(grid[0] * grid[1])), "given")
    found = reference_owners(order, array)
    assert len(found) == array[0] * array[1]
    assert len(set(found.tolist())) == owners


def test_only_the_second_row_of_classes_has_cells_in_an_array_of_one_row() -> None:
    order = ClassOrder((5, 2), tuple(range(10)), "given")
    assert reference_owners(order, (6, 1)).tolist() == [5, 6, 7, 7, 8, 9]


def test_classes_without_a_cell_are_said_before_the_work() -> None:
    made = plan(10, (32, 32), ipc=0.4, class_grid=(5, 2), label_pooling="reference")
    assert made.params.label_grid == (6, 1)
    (note,) = made.notes
    assert note == (
        "labels: an array of 6x1 cells, as in the published code: 5 of 10 classes ('class 0' "
        "first) have no cell; --label-pooling reference is for measurements, not for use"
    )
    assert "--label-pooling reference" in made.command(3)


def test_a_file_of_the_published_codes_arrays_decodes(digits: Source, tmp_path: Path) -> None:
    out = tmp_path / "x.ddset"
    encode(digits, ipc=0.5, out=out, steps=4, profile="quick", label_pooling="reference")
    assert verify(out) == []
    ds = load(out)
    assert ds.manifest.labels == {"kind": "learned", "pooling": "crop", "grid": [6, 1]}
    labels = ds.soft_labels.numpy()
    assert np.allclose(labels.sum(axis=1), 1, atol=1e-5)
    assert info(out)["classes"] == 10
