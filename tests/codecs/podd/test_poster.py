"""Poster geometry: sizes never exceed the budget, patches lie where the paper's do."""

from __future__ import annotations

import math
import re
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddcodec.codecs.podd.layout import (
    default_patch_grid,
    grid_with_room,
    label_grid_for,
    most_patches,
    patch_grid_for,
    pixel_budget,
    poster_size,
    smallest_ipc,
)
from ddcodec.codecs.podd.order import class_grid
from ddcodec.codecs.podd.poster import EVEN, PER_CLASS, PosterGeometry, origins
from ddcodec.codecs.podd.presets import GENERIC, PRESETS
from ddcodec.codecs.shared.grid import cell_edges
from ddcodec.errors import UsageError

sides = st.integers(1, 64)
decimals = st.integers(1, 4000).map(lambda i: i / 1000)


@st.composite
def geometries(draw: st.DrawFn) -> PosterGeometry:
    patch_h, patch_w = draw(sides), draw(sides)
    return PosterGeometry(
        height=patch_h + draw(st.integers(0, 80)),
        width=patch_w + draw(st.integers(0, 80)),
        patch_h=patch_h,
        patch_w=patch_w,
        patches_x=draw(st.integers(1, 12)),
        patches_y=draw(st.integers(1, 12)),
    )


@pytest.mark.parametrize(
    ("name", "ipc", "width", "height"),
    [
        ("cifar10", 0.9, 153, 60),
        ("cifar10", 1.0, 160, 64),
        ("cifar100", 0.4, 202, 202),
        ("cifar100", 0.9, 303, 303),
        ("cub200", 0.9, 610, 302),
        ("tiny-imagenet", 0.9, 1211, 608),
    ],
)
def test_posters_have_the_sizes_of_the_paper(
    name: str, ipc: float, width: int, height: int
) -> None:
    preset = PRESETS[name]
    assert preset.shape is not None
    assert preset.class_grid is not None
    n, h, w, _ = preset.shape
    size = poster_size(ipc, n, h, w, preset.class_grid, preset.poster_sizes)
    assert size == (height, width)
    assert height * width <= pixel_budget(ipc, n, h, w)


def test_the_rule_alone_gives_two_of_the_published_sizes() -> None:
    assert poster_size(0.9, 10, 32, 32, (5, 2)) == (60, 153)
    assert poster_size(0.4, 100, 32, 32, (10, 10)) == (202, 202)


def test_a_published_size_that_breaks_the_budget_is_not_used() -> None:
    too_large = {0.9: (61, 153)}
    assert poster_size(0.9, 10, 32, 32, (5, 2), too_large) == (60, 153)
    too_low = {0.9: (31, 153)}
    assert poster_size(0.9, 10, 32, 32, (5, 2), too_low) == (60, 153)


@given(ipc=decimals, n=st.integers(1, 300), h=sides, w=sides)
def test_a_poster_fills_its_budget_and_never_exceeds_it(ipc: float, n: int, h: int, w: int) -> None:
    budget = math.floor(Fraction(str(ipc)) * n * h * w)
    if budget < h * w:
        with pytest.raises(UsageError):
            poster_size(ipc, n, h, w, class_grid(n))
        return
    height, width = poster_size(ipc, n, h, w, class_grid(n))
    assert height >= h
    assert width >= w
    assert height * width <= budget < height * (width + 1)


@given(ipc=st.integers(300, 4000).map(lambda i: i / 1000), n=st.integers(10, 300), side=st.just(32))
def test_a_poster_has_the_aspect_of_the_class_grid(ipc: float, n: int, side: int) -> None:
    grid_x, grid_y = class_grid(n)
    height, width = poster_size(ipc, n, side, side, (grid_x, grid_y))
    budget = pixel_budget(ipc, n, side, side)
    if height > side:  # else the smallest height of a patch decides
        assert height**2 * grid_x <= budget * grid_y < (height + 1) ** 2 * grid_x
    assert width == budget // height


def test_the_budget_is_that_of_the_decimal_not_of_the_binary_fraction() -> None:
    assert int(0.29 * 100) == 28  # what floats would give
    assert pixel_budget(0.29, 100, 1, 1) == 29


@given(n=st.integers(1, 20_000), h=sides, w=sides)
def test_the_smallest_budget_works_and_a_lower_one_names_it(n: int, h: int, w: int) -> None:
    smallest = smallest_ipc(n)
    assert Fraction(1, n) <= Fraction(str(smallest)) <= Fraction(1, n) * Fraction(101, 100)
    assert pixel_budget(smallest, n, h, w) >= h * w
    with pytest.raises(UsageError) as caught:
        poster_size(smallest * 0.98, n, h, w, (n, 1))
    named = re.search(r"`ipc`=([0-9.e-]+)$", str(caught.value))
    assert named is not None
    poster_size(float(named[1]), n, h, w, (n, 1))


def test_a_budget_too_small_for_a_patch_is_explained() -> None:
    with pytest.raises(UsageError) as caught:
        poster_size(0.03, 10, 32, 32, (5, 2))
    assert str(caught.value) == (
        "a poster of 307 pixels cannot hold a 32x32 patch; "
        "the smallest budget for this data set is `ipc`=0.1"
    )


@pytest.mark.parametrize("ipc", [0.0, -1.0, math.nan, math.inf, -math.inf])
def test_a_budget_that_is_no_positive_number_is_refused(ipc: float) -> None:
    with pytest.raises(UsageError, match="`ipc` must be"):
        poster_size(ipc, 10, 32, 32, (5, 2))


@given(st.integers(1, 300), st.integers(0, 400), st.integers(2, 60))
def test_origins_are_an_even_spread_rounded_half_to_even(size: int, free: int, count: int) -> None:
    found = origins(size + free, size, count)
    assert list(found) == [round(Fraction(i * free, count - 1)) for i in range(count)]
    assert (found[0], found[-1]) == (0, free)
    if count <= free + 1:
        assert len(set(found)) == count


def test_origins_equal_the_rounded_linspace_of_the_published_code() -> None:
    for length, size, count in [(153, 32, 16), (60, 32, 6), (303, 32, 20), (1211, 64, 40)]:
        expected = np.round(np.linspace(0, length - size, count)).astype(int)
        assert origins(length, size, count) == tuple(expected)


def test_a_single_patch_lies_at_the_corner() -> None:
    assert origins(50, 8, 1) == (0,)


@given(st.integers(1, 300), st.integers(1, 40))
def test_cells_upsample_by_nearest_neighbour(length: int, cells: int) -> None:
    edges = cell_edges(length, cells)
    for pixel in range(length):
        cell = pixel * cells // length
        assert edges[cell] <= pixel < edges[cell + 1]


@given(ipc=decimals, n=st.integers(1, 200), side=st.integers(1, 40))
def test_default_patches_have_distinct_origins_and_cover_the_classes(
    ipc: float, n: int, side: int
) -> None:
    grid = class_grid(n)
    if pixel_budget(ipc, n, side, side) < side * side:
        return
    poster = poster_size(ipc, n, side, side, grid)
    patches = default_patch_grid(poster, (side, side), grid)
    geometry = PosterGeometry(*poster, side, side, *patches)
    most = most_patches(poster, (side, side))
    for starts, cells, limit in zip(
        (geometry.origins_x, geometry.origins_y), grid, most, strict=True
    ):
        assert len(set(starts)) == len(starts)
        assert min(cells, limit) <= len(starts) <= limit


@pytest.mark.parametrize(
    ("name", "grid"),
    [
        ("cifar10", (16, 6)),
        ("cifar100", (20, 20)),
        ("cub200", (60, 30)),
        ("tiny-imagenet", (40, 20)),
    ],
)
def test_published_patch_grids_are_the_default(name: str, grid: tuple[int, int]) -> None:
    preset = PRESETS[name]
    assert preset.shape is not None
    assert preset.class_grid is not None
    n, h, w, _ = preset.shape
    poster = poster_size(0.9, n, h, w, preset.class_grid, preset.poster_sizes)
    assert default_patch_grid(poster, (h, w), preset.class_grid, preset.patch_grid) == grid


@pytest.mark.parametrize(
    ("classes", "image", "ipc", "grid"),
    [
        (10, (3, 32, 32), 0.5, (12, 3)),
        (10, (3, 32, 32), 1.0, (15, 5)),
        (10, (3, 32, 32), 2.2, (14, 5)),
        (10, (3, 32, 32), 5.0, (22, 8)),
        (10, (3, 32, 32), 13.4, (23, 9)),
        (10, (1, 28, 28), 1.0, (15, 5)),
        (2, (3, 32, 32), 1.0, (5, 1)),
        (10, (1, 8, 8), 0.9, (9, 2)),
        (100, (3, 32, 32), 0.4, (19, 10)),
        (100, (3, 32, 32), 1.0, (19, 10)),
        (100, (3, 32, 32), 2.4, (19, 16)),
    ],
)
def test_quick_patches_are_seven_a_class_unless_labels_would_outweigh_the_poster(
    classes: int, image: tuple[int, int, int], ipc: float, grid: tuple[int, int]
) -> None:
    channels, *side = image
    patch = side[0], side[1]
    cells = class_grid(classes)
    poster = poster_size(ipc, classes, *patch, cells)
    assert patch_grid_for(GENERIC, "quick", (channels, *poster), patch, cells, EVEN) == grid


@pytest.mark.parametrize(
    ("profile", "patches", "ipc", "cells"),
    [
        ("quick", (14, 5), 2.2, (14, 5)),
        ("paper", (14, 5), 2.2, (5, 2)),
        ("paper", (9, 2), 0.9, (9, 2)),
        ("quick", (64, 32), 30.0, (64, 32)),
        ("quick", (65, 32), 30.0, (25, 10)),
        ("quick", (4, 5), 0.5, (5, 2)),
    ],
)
def test_each_patch_has_a_label_of_its_own_unless_there_are_too_many(
    profile: str, patches: tuple[int, int], ipc: float, cells: tuple[int, int]
) -> None:
    assert label_grid_for("cell", profile, (5, 2), patches, ipc) == cells
    assert label_grid_for("area", profile, (5, 2), (64, 32), 0.9) == (5, 2)


def test_a_published_patch_grid_shrinks_where_patches_would_coincide() -> None:
    assert default_patch_grid((35, 87), (32, 32), (5, 2), (16, 6)) == (16, 4)


@given(
    st.tuples(st.integers(1, 5), st.integers(1, 5)),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.tuples(st.integers(0, 30), st.integers(0, 30)),
)
def test_patches_per_class_lie_in_one_cell_and_reach_its_edges(
    grid: tuple[int, int], each: tuple[int, int], patch: tuple[int, int], more: tuple[int, int]
) -> None:
    width, height = (g * s + m for g, s, m in zip(grid, patch[::-1], more, strict=True))
    count = (grid[0] * each[0], grid[1] * each[1])
    g = PosterGeometry(height, width, *patch, *count, PER_CLASS, grid)
    for found, length, cells, size in (
        (g.origins_x, width, grid[0], patch[1]),
        (g.origins_y, height, grid[1], patch[0]),
    ):
        edges = cell_edges(length, cells)
        k = len(found) // cells
        for i, origin in enumerate(found):
            assert edges[i // k] <= origin
            assert origin + size <= edges[i // k + 1]
            assert i % k != 0 or origin == edges[i // k]
            assert k == 1 or i % k != k - 1 or origin + size == edges[i // k + 1]


@pytest.mark.parametrize(("patches", "width"), [((3, 1), 16), ((4, 1), 15)])
def test_patches_per_class_must_fit_into_the_cells(patches: tuple[int, int], width: int) -> None:
    with pytest.raises(UsageError, match="patches per class along x"):
        PosterGeometry(8, width, 8, 8, *patches, PER_CLASS, (2, 1))


def test_large_posters_have_patches_that_overlap_by_half() -> None:
    # CIFAR-10 at ten images per class: 16x6 patches would leave gaps between them.
    height, width = poster_size(10, 10, 32, 32, (5, 2))
    assert default_patch_grid((height, width), (32, 32), (5, 2), (16, 6)) == (31, 12)
    assert default_patch_grid((64, 160), (32, 32), (5, 2), (16, 6)) == (16, 6)


@pytest.mark.parametrize(
    ("ipc", "expected"),
    [(0.1, (5, 2)), (0.2, (10, 1)), (0.3, (10, 1)), (0.4, (5, 2)), (0.9, (5, 2)), (2, (5, 2))],
)
def test_classes_lie_in_one_row_where_a_poster_is_hardly_higher_than_a_patch(
    ipc: float, expected: tuple[int, int]
) -> None:
    assert grid_with_room((5, 2), 10, ipc, (8, 8)) == expected
