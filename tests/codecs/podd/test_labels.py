"""Soft labels: exact against a slow count of pixels, never undefined, never collapsed."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ddcodec.codecs.podd.labels import (
    cell_owners,
    classes_without_patch,
    fixed_labels,
    initial_labels,
    pixel_counts,
    pool,
    pooling_weights,
    project_labels,
)
from ddcodec.codecs.podd.layout import default_patch_grid, poster_size
from ddcodec.codecs.podd.order import ClassOrder, class_grid
from ddcodec.codecs.podd.poster import PosterGeometry
from ddcodec.codecs.podd.presets import PRESETS
from ddcodec.codecs.podd.rules import POOLINGS
from ddcodec.errors import InvalidFile, UsageError
from tests.helpers.plans import label_entropy

small = st.integers(1, 5)
grids = st.tuples(small, small)
values = st.integers(0, 255).map(lambda i: i / 64)


@st.composite
def geometries(draw: st.DrawFn) -> PosterGeometry:
    patch_h, patch_w = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    return PosterGeometry(
        patch_h + draw(st.integers(0, 12)),
        patch_w + draw(st.integers(0, 12)),
        patch_h,
        patch_w,
        draw(small),
        draw(small),
    )


def slow_counts(geometry: PosterGeometry, grid: tuple[int, int]) -> list[Counter[int]]:
    """Count pixel by pixel how many of each patch lie in each cell."""
    counts = []
    for index in range(geometry.num_patches):
        column, row = divmod(index, geometry.patches_y)
        top, left = geometry.origins_y[row], geometry.origins_x[column]
        count: Counter[int] = Counter()
        for y in range(geometry.patch_h):
            for x in range(geometry.patch_w):
                row = (top + y) * grid[1] // geometry.height
                column = (left + x) * grid[0] // geometry.width
                count[row * grid[0] + column] += 1
        counts.append(count)
    return counts


def weights_as_counts(weights: np.ndarray) -> list[dict[int, int]]:
    return [{i: int(v) for i, v in enumerate(row) if v} for row in weights]


@given(geometries(), grids)
def test_pixel_counts_equal_a_count_of_every_pixel(
    geometry: PosterGeometry, grid: tuple[int, int]
) -> None:
    found = pixel_counts(geometry, grid)
    assert (found.sum(axis=1) == geometry.patch_h * geometry.patch_w).all()
    assert weights_as_counts(found) == slow_counts(geometry, grid)


def test_what_a_patch_between_cells_gets_by_each_pooling() -> None:
    # 8 pixels over cells of 5: five of one and three of the next.
    geometry = PosterGeometry(8, 10, 8, 8, 2, 1)
    shares = {}
    for pooling in POOLINGS:
        weights = pooling_weights(geometry, (2, 1), pooling)
        shares[pooling] = (weights[0] / weights[0].sum()).round(3).tolist()
    assert shares == {
        "area": [0.625, 0.375],
        "cell": [1, 0],
    }


@given(geometries(), grids, st.integers(1, 4), st.sampled_from(POOLINGS), st.data())
def test_pooling_is_the_exact_weighted_mean_rounded_once(
    geometry: PosterGeometry, grid: tuple[int, int], n: int, pooling: str, data: st.DataObject
) -> None:
    array = data.draw(arrays(np.float32, (grid[1], grid[0], n), elements=values))
    weights = pooling_weights(geometry, grid, pooling)
    labels = pool(array, weights)
    cells = array.reshape(-1, n).tolist()
    for row, count in zip(labels, weights_as_counts(weights), strict=True):
        sums = [sum(Fraction(cells[c][k]) * m for c, m in count.items()) for k in range(n)]
        total = sum(sums)
        exact = [s / total if total else Fraction(1, n) for s in sums]
        assert row.tolist() == [float(np.float32(float(e))) for e in exact]


@given(geometries(), grids, st.data())
def test_a_label_does_not_depend_on_the_other_patches(
    geometry: PosterGeometry, grid: tuple[int, int], data: st.DataObject
) -> None:
    floats = st.floats(0, 1, width=32)
    array = data.draw(arrays(np.float32, (grid[1], grid[0], 3), elements=floats))
    weights = pooling_weights(geometry, grid, "area")
    labels = pool(array, weights)
    assert labels.dtype == np.float32
    assert np.allclose(labels.sum(axis=1), 1, atol=1e-6)
    alone = [pool(array, weights[i : i + 1])[0] for i in range(len(weights))]
    assert np.stack(alone).tobytes() == labels.tobytes()


@given(geometries(), grids)
def test_cell_pooling_reaches_every_cell_that_it_can(
    geometry: PosterGeometry, grid: tuple[int, int]
) -> None:
    weights = pooling_weights(geometry, grid, "cell")
    assert ((weights == 0) | (weights == 1)).all()
    assert (weights.sum(axis=1) == 1).all()
    if geometry.patches_x >= grid[0] and geometry.patches_y >= grid[1]:
        assert (weights.sum(axis=0) >= 1).all()


def test_cell_pooling_gives_one_cell_a_patch_on_a_grid_of_the_patches() -> None:
    geometry = PosterGeometry(10, 25, 8, 8, 9, 2)
    array = np.arange(1, 19, dtype=np.float32).reshape(2, 9, 1) * np.float32([[[1, 0]]])
    array[..., 1] = 100 - array[..., 0]
    labels = pool(array, pooling_weights(geometry, (9, 2), "cell"))
    # Patches run down the columns, label cells along the rows.
    expected = [row * 9 + column + 1 for column in range(9) for row in range(2)]
    assert labels[:, 0].tolist() == np.float32(np.array(expected) / 100).tolist()


def test_a_patch_over_zero_cells_gets_the_uniform_label() -> None:
    array = np.float32([[0, 0, 0, 0], [0, 3, 1, 0]])
    labels = pool(array, np.float64([[1, 0], [1, 1], [0, 2]]))
    assert labels.tolist() == [[0.25] * 4, [0, 0.75, 0.25, 0], [0, 0.75, 0.25, 0]]


@pytest.mark.parametrize("bad", [-0.5, np.nan, np.inf])
def test_a_label_array_that_is_no_distribution_is_refused(bad: float) -> None:
    array = np.float32([[1, 0], [bad, 1]])
    with pytest.raises(InvalidFile, match="finite and at least 0"):
        pool(array, np.eye(2))


@given(geometries(), grids, st.data())
def test_fixed_labels_are_the_majority_of_the_pixels_and_ties_share(
    geometry: PosterGeometry, grid: tuple[int, int], data: st.DataObject
) -> None:
    cells = grid[0] * grid[1]
    n = data.draw(st.integers(1, cells))
    spare = data.draw(st.lists(st.integers(0, n - 1), min_size=cells - n, max_size=cells - n))
    order = ClassOrder(grid, tuple(data.draw(st.permutations([*range(n), *spare]))), "given")
    labels = fixed_labels(geometry, order, n)
    for row, count in zip(labels, slow_counts(geometry, grid), strict=True):
        owned: Counter[int] = Counter()
        for cell, pixels in count.items():
            owned[order.cells[cell]] += pixels
        most = [c for c, pixels in owned.items() if pixels == max(owned.values())]
        expected = np.zeros(n, np.float32)
        expected[most] = np.float32(1 / len(most))
        assert row.tolist() == expected.tolist()


def test_a_patch_half_way_between_two_classes_belongs_to_both() -> None:
    labels = fixed_labels(PosterGeometry(4, 8, 4, 4, 3, 1), ClassOrder((2, 1), (1, 0), ""), 2)
    assert labels.tolist() == [[0, 1], [0.5, 0.5], [1, 0]]


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "cub200", "tiny-imagenet", "digits"])
@pytest.mark.parametrize("ipc", [0.3, 0.4, 0.6, 0.9, 1.0])
def test_every_class_owns_a_patch_at_the_budgets_of_the_paper(name: str, ipc: float) -> None:
    preset = PRESETS[name]
    assert preset.shape is not None
    n, h, w, _ = preset.shape
    grid = preset.class_grid or class_grid(n)
    poster = poster_size(ipc, n, h, w, grid, preset.poster_sizes)
    patches = default_patch_grid(poster, (h, w), grid, preset.patch_grid)
    geometry = PosterGeometry(*poster, h, w, *patches)
    labels = fixed_labels(geometry, ClassOrder(grid, tuple(range(n)), "given"), n)
    assert classes_without_patch(labels) == []


def test_one_patch_a_class_gives_one_hot_labels_in_patch_order() -> None:
    order = ClassOrder((5, 2), tuple(range(10)), "given")
    labels = fixed_labels(PosterGeometry(64, 160, 32, 32, 5, 2), order, 10)
    assert labels.argmax(axis=1).tolist() == [0, 5, 1, 6, 2, 7, 3, 8, 4, 9]
    assert label_entropy(labels) == 0


def test_classes_that_own_no_patch_are_reported() -> None:
    order = ClassOrder((5, 2), tuple(range(10)), "given")
    labels = fixed_labels(PosterGeometry(64, 160, 32, 32, 2, 2), order, 10)
    assert classes_without_patch(labels) == [1, 2, 3, 6, 7, 8]
    assert classes_without_patch(np.float32([[0.5, 0.5, 0], [0.2, 0.3, 0.5]])) == []


def test_label_cells_of_the_class_grid_begin_with_its_classes() -> None:
    order = ClassOrder((5, 2), (3, 1, 4, 0, 5, 9, 2, 6, 8, 7), "image")
    owners = cell_owners(order, (5, 2))
    assert tuple(owners) == order.cells
    array = initial_labels(owners, 10)
    assert array.dtype == np.float32
    assert array.argmax(axis=1).tolist() == list(order.cells)
    assert (array.sum(axis=1) == 1).all()


@given(grids, grids)
def test_a_finer_label_array_has_a_cell_of_every_class(
    grid: tuple[int, int], more: tuple[int, int]
) -> None:
    n = grid[0] * grid[1]
    order = ClassOrder(grid, tuple(range(n)), "given")
    finer = (grid[0] + more[0] - 1, grid[1] + more[1] - 1)
    owners = cell_owners(order, finer)
    assert len(owners) == finer[0] * finer[1]
    assert set(owners.tolist()) == set(range(n))


def test_a_label_array_without_a_cell_of_some_class_is_refused() -> None:
    # The published code does this silently: 1x6 cells for 10 classes.
    order = ClassOrder((5, 2), tuple(range(10)), "given")
    with pytest.raises(UsageError, match=r"1x6 cells leaves 8 classes .* at least 5x2 patches"):
        cell_owners(order, (1, 6))


updates = arrays(np.float32, (6, 5), elements=st.floats(-2, 2, width=32))
owners_of_six = arrays(np.int64, 6, elements=st.integers(0, 4))


@given(updates, owners_of_six, st.sampled_from([0.0, 0.25, 0.5, 1.0]))
def test_projected_labels_are_distributions_that_keep_their_owner(
    array: np.ndarray, owners: np.ndarray, floor: float
) -> None:
    y = project_labels(array, owners, floor)
    assert y.dtype == np.float32
    assert (y >= 0).all()
    assert np.allclose(y.sum(axis=1), 1, atol=1e-6)
    assert (y[np.arange(6), owners] >= floor - 1e-7).all()
    again = project_labels(y, owners, floor)
    assert np.allclose(again, y, atol=1e-6)
    # Whatever was above the floor is only clipped and scaled.
    clipped = np.maximum(array, 0).astype(np.float64)
    sums = clipped.sum(axis=1, keepdims=True)
    share = clipped / np.where(sums > 0, sums, 1)
    kept = (share[np.arange(6), owners] >= floor) & (sums[:, 0] > 0)
    assert np.allclose(y[kept], share[kept], atol=1e-6)


def test_a_cell_of_zeros_becomes_its_owners_one_hot() -> None:
    y = project_labels(np.float32([[-1, -2, 0], [0, 0, 0]]), np.array([2, 0]), 0.0)
    assert y.tolist() == [[0, 0, 1], [1, 0, 0]]


def test_a_floor_above_uniform_stops_the_collapse_of_labels() -> None:
    owners = np.arange(10)
    uniform = np.full((10, 10), 0.1, np.float32)
    assert label_entropy(uniform) == pytest.approx(1)
    kept = project_labels(uniform, owners, 0.2)
    assert (kept.argmax(axis=1) == owners).all()
    assert label_entropy(kept) < 0.985
    assert label_entropy(project_labels(uniform, owners, 0.1)) == pytest.approx(1)
