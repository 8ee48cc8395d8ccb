"""Every class count from 1 to 1000: all classes own cells and patches, or a line says why not.

Sizes and weights, which decide it, are made for every count at many budgets and rules; whole plans
for each of the first counts and some of the others; files for a sample.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ddcodec import UsageError, encode
from ddcodec.codecs.podd.labels import classes_without_patch, first_labels, pooling_weights
from ddcodec.codecs.podd.layout import (
    grid_with_room,
    grid_without_spare,
    label_grid_for,
    most_patches,
    patch_grid_for,
    pixel_budget,
    poster_for,
)
from ddcodec.codecs.podd.order import class_grid
from ddcodec.codecs.podd.plan import Pooling
from ddcodec.codecs.podd.poster import EVEN, PER_CLASS, PosterGeometry
from ddcodec.codecs.podd.presets import GENERIC
from ddcodec.codecs.shared.grid import cell_edges
from tests.helpers.plans import check_file, noise_source, plan

COUNTS = range(1, 1001)
SOME = (*range(1, 150), *range(150, 1000, 37), 1000)
PATCH = (5, 4)  # height, width
Pair = tuple[int, int]
T = TypeVar("T")


def sizes(classes: int, ipc: float, rule: str) -> tuple[Pair, PosterGeometry]:
    """Return the class grid and the geometry of the quick profile, as a plan has them."""
    grid = class_grid(classes)
    if rule == PER_CLASS:
        grid = grid_without_spare(grid, classes)
    grid = grid_with_room(grid, classes, ipc, PATCH)
    poster = poster_for(ipc, classes, PATCH, grid, rule, {})
    patches = patch_grid_for(GENERIC, "quick", (1, *poster), PATCH, grid, rule)
    assert patches <= most_patches(poster, PATCH)
    return grid, PosterGeometry(*poster, *PATCH, *patches, rule, grid)


def winners(g: PosterGeometry, grid: Pair, pooling: Pooling) -> Pair:
    """Return how many columns and rows of cells weigh most, or tie for it, in some patch.

    Weights are products of both axes, so each axis is looked at on a poster that has it alone.
    """
    row = PosterGeometry(1, g.width, 1, g.patch_w, g.patches_x, 1, g.rule, (g.cells[0], 1))
    column = PosterGeometry(g.height, 1, g.patch_h, 1, 1, g.patches_y, g.rule, (1, g.cells[1]))
    across = pooling_weights(row, (grid[0], 1), pooling)
    down = pooling_weights(column, (1, grid[1]), pooling)
    found = ((axis == axis.max(axis=1, keepdims=True)).any(axis=0).sum() for axis in (across, down))
    return int(next(found)), int(next(found))


def attempt(make: Callable[[], T]) -> tuple[T | None, str]:
    """Return what a function makes, or None and the line with which it refuses."""
    try:
        return make(), ""
    except UsageError as error:
        return None, str(error)


@pytest.mark.parametrize("rule", [EVEN, PER_CLASS])
@pytest.mark.parametrize("ipc", [0.03, 0.3, 0.5, 1.0, 2.5])
def test_sizes_of_every_count_give_each_class_cells_and_patches(ipc: float, rule: str) -> None:
    refused = []
    counts = COUNTS if rule != PER_CLASS else SOME
    for classes in counts:
        made, why = attempt(partial(sizes, classes, ipc, rule))
        if made is None:
            assert re.search(r"the smallest budget.* is `ipc`|has no room for", why), why
            refused.append(classes)
            continue
        grid, geometry = made
        assert grid[0] * grid[1] >= classes
        assert geometry.height * geometry.width <= pixel_budget(ipc, classes, *PATCH)
        for length, cells in ((geometry.width, grid[0]), (geometry.height, grid[1])):
            assert all(a < b for a, b in itertools.pairwise(cell_edges(length, cells))), classes
        patches = geometry.patches_x, geometry.patches_y
        if patches[0] >= grid[0] and patches[1] >= grid[1]:  # what the default pooling asks for
            for profile in ("quick", "paper"):
                array = label_grid_for("cell", profile, grid, patches, ipc)
                assert winners(geometry, array, "cell") == array, classes
        if ipc >= 1:
            assert winners(geometry, grid, "area") == grid, classes
    if rule == PER_CLASS:  # a patch for each class needs an image a class
        assert refused == ([] if ipc >= 1 else list(counts))
    elif ipc >= 0.3:  # only where not even one patch fits
        assert refused == [n for n in COUNTS if n < 1 / ipc]


@pytest.mark.parametrize("labels", ["learned", "fixed"])
def test_a_plan_of_every_count_has_all_classes_or_says_which_it_lacks(labels: str) -> None:
    for classes in SOME:
        made, why = attempt(partial(plan, classes, (2, 2), ipc=0.5, labels=labels))
        if made is None:
            assert re.search("are in the label of none|the smallest budget|has no room for", why)
            continue
        assert set(made.order.cells) == set(range(classes))
        found = first_labels(made)
        assert (found.max(axis=0) > 0).all(), classes
        weak = len(classes_without_patch(found))
        said = [note for note in made.notes if f"{weak} of {classes} classes" in note]
        assert len(said) == len(made.notes) == (weak > 0)


@pytest.mark.slow
@settings(max_examples=3)
@given(st.integers(61, 999))
def test_any_count_up_to_a_thousand_encodes_and_decodes(
    tmp_path_factory: pytest.TempPathFactory, classes: int
) -> None:
    path = tmp_path_factory.mktemp("sweep") / "x.ddset"
    source = noise_source(classes, 3, 2)
    encode(source, ipc=0.5, out=path, steps=3, profile="quick", order="given")
    check_file(path, classes)
