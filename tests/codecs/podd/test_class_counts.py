"""Any number of classes: a file comes out that decodes, or a line that says why it cannot."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ddcodec import UsageError, encode
from ddcodec.codecs.podd.labels import classes_without_patch, first_labels
from tests.helpers.plans import check_file, noise_source, plan

PRIMES = (2, 3, 5, 7, 11, 13, 17, 31, 37, 53, 97, 101)


@settings(max_examples=30)
@given(
    st.one_of(st.integers(1, 60), st.sampled_from(PRIMES)),
    st.tuples(st.integers(2, 6), st.integers(2, 6)),
    st.sampled_from([0.1, 0.3, 0.5, 1.0, 2.5]),
    st.sampled_from(["auto", "fixed", "learned"]),
    st.sampled_from(["auto", "area", "cell"]),
    st.sampled_from([1, 3]),
)
def test_any_count_of_classes_encodes_and_decodes(
    tmp_path_factory: pytest.TempPathFactory,
    classes: int,
    side: tuple[int, int],
    ipc: float,
    labels: str,
    pooling: str,
    channels: int,
) -> None:
    path = tmp_path_factory.mktemp("counts") / "x.ddset"
    source = noise_source(classes, *side, channels)
    wanted = {"labels": labels, "label_pooling": pooling}
    why = ""
    try:
        encode(source, ipc=ipc, out=path, steps=3, profile="quick", order="image", **wanted)  # type: ignore[arg-type]
    except UsageError as error:
        why = str(error)
    if path.exists():
        check_file(path, classes)
        return
    reasons = ("the smallest budget", "in the label of none", "has no room", "leaves")
    assert any(reason in why for reason in reasons), why
    assert "`ipc`" in why or "patches" in why


@pytest.mark.parametrize("classes", [211, pytest.param(1000, marks=pytest.mark.slow)])
def test_hundreds_of_classes_encode_and_decode(classes: int, tmp_path: Path) -> None:
    path = tmp_path / "x.ddset"
    encode(noise_source(classes), ipc=0.5, out=path, steps=3, profile="quick", order="image")
    check_file(path, classes)


def test_at_one_image_per_class_every_class_has_a_patch_of_its_own() -> None:
    for classes in [*range(1, 130), 499, 751, 1000]:
        for side in ((4, 4), (8, 8), (5, 9)):
            assert plan(classes, side).notes == (), (classes, side)


def test_a_class_that_no_patch_shows_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(UsageError, match=r"classes \('class \d' first\) are in the label of none"):
        plan(7, ipc=0.2, labels="fixed")
    with pytest.raises(UsageError, match="of the 2x1 patches; use more `patches`, a larger `ipc`"):
        plan(10, patches=(2, 1))
    with pytest.raises(UsageError, match="poster of 4x4 pixels has no room for 40x25 class cells"):
        plan(1000, ipc=0.001)


def test_fewer_patches_than_classes_are_said() -> None:
    (note,) = plan(10, (8, 8), ipc=0.1).notes
    assert note.startswith("labels: 4 of 10 classes ('class ")
    assert "largest share of none of the 1x1 patches" in note


@given(st.integers(1, 40), st.integers(1, 12), st.integers(1, 12))
def test_a_class_grid_may_have_any_shape_with_room_for_all(
    classes: int, columns: int, rows: int
) -> None:
    if columns * rows < classes:
        with pytest.raises(UsageError, match="has no room for"):
            plan(classes, class_grid=(columns, rows), ipc=4.0)
        return
    if columns * rows > 9 * classes:
        return  # more cells than pixels along an axis, perhaps
    made = plan(classes, class_grid=(columns, rows), ipc=9.0)
    assert made.order.grid == (columns, rows)
    assert set(made.order.cells) == set(range(classes))
    assert classes_without_patch(np.eye(classes, dtype=np.float32)[list(made.order.cells)]) == []
    grid = f"--class-grid {columns}x{rows}"
    assert grid in made.command(3)


@pytest.mark.parametrize("classes", [1, 2, 7, 10, 11, 37])
@pytest.mark.parametrize("ipc", [1.0, 3.0, 10.0])
def test_a_poster_per_class_keeps_the_budget_and_shares_no_pixels(classes: int, ipc: float) -> None:
    made = plan(classes, (6, 5), ipc=ipc, origins="per-class", labels="fixed")
    height, width = made.geometry.height, made.geometry.width
    assert made.order.grid[0] * made.order.grid[1] == classes  # no cell is spare
    assert 0.8 * ipc * classes * 30 <= height * width <= ipc * classes * 30
    labels = first_labels(made)
    assert (labels.max(axis=1) == 1).all()
    assert set(labels.argmax(axis=1)) == set(range(classes))
    covered = np.zeros((height, width), bool)
    for y, x in itertools.product(made.geometry.origins_y, made.geometry.origins_x):
        covered[y : y + 6, x : x + 5] = True
    assert covered.all()


def test_a_poster_per_class_needs_an_image_a_class() -> None:
    with pytest.raises(UsageError, match="24 pixels a class cannot hold a 5x6 patch"):
        plan(7, (6, 5), ipc=0.8, origins="per-class")
    with pytest.raises(UsageError, match=r"the smallest budget is `ipc`=1\.2"):
        plan(5, (6, 5), ipc=1.0, origins="per-class", class_grid=(3, 2))


@pytest.mark.parametrize("ipc", [1.0, 4.0, 9.0])
@pytest.mark.parametrize("pooling", ["area", "cell"])
def test_label_arrays_grow_with_the_root_of_the_budget(ipc: float, pooling: str) -> None:
    made = plan(10, (8, 8), ipc=ipc, origins="per-class", label_pooling=pooling)
    times = int(ipc**0.5)
    across, down = made.label_grid
    assert across >= 5 * times
    assert down >= 2 * times
    assert made.notes == ()


def test_above_an_image_a_class_every_pixel_is_in_a_patch(tmp_path: Path) -> None:
    for profile in ("quick", "paper"):
        geometry = plan(10, (8, 8), ipc=10.0, profile=profile).geometry
        for starts, size, length in (
            (geometry.origins_x, 8, geometry.width),
            (geometry.origins_y, 8, geometry.height),
        ):
            assert starts[-1] + size == length
            furthest = size if profile == "quick" else 5  # there are many patches
            assert max(b - a for a, b in itertools.pairwise(starts)) <= furthest
    path = tmp_path / "x.ddset"
    source = noise_source(11, 8, 8)
    encode(source, ipc=4, out=path, steps=3, profile="quick", origins="per-class", order="image")
    check_file(path, 11)
