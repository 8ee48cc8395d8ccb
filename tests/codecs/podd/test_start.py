"""Posters that begin as real images side by side."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ddcodec import CheckpointMismatch, PoDD, UsageError, encode, info
from ddcodec.codecs.podd.budget import IMAGES, IMAGES_OTHER, plan_in_bytes
from ddcodec.codecs.podd.initial import Real, image_poster, initial_variables, real_tensors
from ddcodec.codecs.podd.layout import MOST_IMAGES, WIDEST, side_by_side
from ddcodec.codecs.podd.order import class_grid
from ddcodec.codecs.podd.plan import Plan
from ddcodec.codecs.podd.planning import settled
from ddcodec.codecs.podd.variables import PosterVariables
from ddcodec.format import read
from ddcodec.preprocessing.transform import fit
from ddcodec.sources import Source, Split
from tests.helpers.plans import check_file, cut_out, noise_source, plan_of, request_for
from tests.helpers.reporters import Notes, StopAfter

CPU = torch.device("cpu")
SMALL: dict[str, Any] = {"window": 2, "width": 8}  # of unrolled steps, for speed


@pytest.fixture(scope="module")
def large(digits: Source) -> Source:
    """Digits of 24 x 24 pixels."""
    train = digits.train
    return Source("large", digits.classes, {"train": lambda: grown(train)})


def grown(split: Split) -> Split:
    """Return images three times as high and wide."""
    return Split(split.images[:].repeat(3, 1).repeat(3, 2), split.labels)


def planned(source: Source, total: int, **choices: Any) -> Plan:
    """Return the plan of a file of ``total`` bytes."""
    request = request_for(source)
    options = settled(PoDD(total_bytes=total, profile="quick", **choices), CPU)
    return plan_in_bytes(request, options, total)


def begun(plan: Plan, real: Real) -> PosterVariables:
    return initial_variables(plan, real, CPU)


def real_of(source: Source) -> Real:
    return real_tensors(source, dict(fit(source.train.images, "standardise")), CPU)


@given(st.floats(1.0, 60.0), st.integers(1, 60), st.integers(1, 40), st.integers(1, 40))
def test_images_side_by_side_fill_most_of_a_budget_and_no_more(
    ipc: float, classes: int, height: int, width: int
) -> None:
    grid = class_grid(classes)
    cells = math.prod(grid)
    each = int(ipc * classes / cells + 1e-9)
    if each == 0:
        with pytest.raises(UsageError, match="no room for a whole image"):
            side_by_side(ipc, classes, (height, width), grid)
        return
    (rows, columns), (across, down) = side_by_side(ipc, classes, (height, width), grid)
    assert (rows, columns) == (down * height, across * width)
    assert across % grid[0] == down % grid[1] == 0
    each_across, each_down = across // grid[0], down // grid[1]
    assert each_down <= each_across <= WIDEST * each_down
    assert 3 / 4 * each <= each_across * each_down <= each


def test_the_smallest_budget_of_images_that_is_named_works() -> None:
    grid = (4, 3)  # a spare cell
    with pytest.raises(UsageError, match=r"smallest budget is `ipc`=1.091") as refused:
        side_by_side(1.0, 11, (8, 8), grid)
    assert "each of 12 class cells" in str(refused.value)
    assert side_by_side(1.091, 11, (8, 8), grid) == ((24, 32), (4, 3))


def test_too_many_images_are_refused() -> None:
    with pytest.raises(UsageError, match=f"room for {MOST_IMAGES:,} images"):
        side_by_side(MOST_IMAGES, 2, (8, 8), (2, 1))


def test_every_patch_begins_as_another_real_image_of_its_class(digits: Source) -> None:
    plan = plan_of(digits, ipc=9.0, profile="quick", steps=2, start="images")
    real = real_of(digits)
    variables = begun(plan, real)
    patches = cut_out(plan.geometry, variables.poster.numpy())
    owners = variables.labels().argmax(1)
    x, y = real[0][:].numpy(), real[1]
    found = []
    for patch, owner in zip(patches, owners, strict=True):
        same = np.flatnonzero(np.abs(x - patch).max(axis=(1, 2, 3)) < 1e-5)
        assert any(y[place] == owner for place in same)
        found.append(int(same[0]))
    assert len(set(found)) == len(patches) == 90


def test_a_seed_draws_the_images(digits: Source) -> None:
    plan, real = plan_of(digits, ipc=4.0, profile="quick", steps=2, start="images"), real_of(digits)
    labels = begun(plan, real).labels()
    first, again, other = (image_poster(plan.geometry, labels, real, seed) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_class_of_few_images_shows_them_again() -> None:
    images = np.arange(5, dtype=np.uint8)[:, None, None, None].repeat(8, 1).repeat(8, 2) * 50
    split = Split(images, np.array([0, 0, 0, 1, 1]))
    source = Source("few", ("a", "b"), {"train": lambda: split})
    plan = plan_of(source, ipc=4.0, profile="quick", steps=2, start="images", class_grid=(2, 1))
    real = real_tensors(source, {"kind": "none"}, CPU)
    variables = begun(plan, real)
    patches = cut_out(plan.geometry, variables.poster.numpy())
    shown: dict[int, set[float]] = {0: set(), 1: set()}
    for patch, owner in zip(patches, variables.labels().argmax(1).tolist(), strict=True):
        assert np.ptp(patch) < 1e-6
        shown[owner].add(round(float(patch.mean()), 4))
    assert [len(shown[0]), len(shown[1])] == [3, 2]
    assert not shown[0] & shown[1]


def test_bytes_for_some_images_of_each_class_begin_as_images(digits: Source, large: Source) -> None:
    few, many, icons = planned(large, 1500), planned(large, 4000), planned(digits, 9000)
    assert icons.start == "means"
    assert (few.start, many.start) == ("means", "images")
    assert many.geometry.num_patches >= IMAGES_OTHER * 10
    assert many.coded_bytes is not None
    assert "--transform dct --start images" in many.command(9)
    assert "--start" not in few.command(9)


@pytest.mark.parametrize(
    "choices",
    [
        {"start": "means"},
        {"patches": (12, 4)},
        {"transform": "none"},
        {"quality": "bits=4"},
        {"expand": 1.5},
        {"origins": "per-class"},
    ],
)
def test_what_else_is_asked_for_keeps_class_means(choices: dict[str, Any], large: Source) -> None:
    assert planned(large, 4000, **choices).start == "means"


@pytest.mark.parametrize(
    ("choices", "coded", "bits"),
    [({}, True, None), ({"transform": "none"}, False, 3), ({"quality": "bits=5"}, False, 5)],
)
def test_images_that_are_asked_for_are_coded_unless_pixels_are(
    choices: dict[str, Any], coded: bool, bits: int | None, digits: Source, tmp_path: Path
) -> None:
    out = tmp_path / "x.ddset"
    encode(digits, out, total_bytes=2600, steps=2, start="images", profile="quick", **choices)
    assert out.stat().st_size <= 2600
    assert (planned(digits, 2600, start="images", **choices).coded_bytes is not None) == coded
    assert info(out)["poster"].get("bits") == bits
    check_file(out, 10)


@pytest.mark.parametrize(
    "choices", [{}, {"labels": "fixed"}, {"class_grid": (10, 1)}, {"label_pooling": "area"}]
)
def test_images_go_with_other_choices_and_any_shape(
    choices: dict[str, Any], tmp_path: Path
) -> None:
    source, out = noise_source(10, 9, 16), tmp_path / "x.ddset"
    encode(source, out, ipc=2, steps=2, start="images", profile="quick", order="given", **choices)
    check_file(out, 10)
    assert info(out)["patches"]["count"] == 20


def test_an_interrupted_encode_of_images_ends_as_one_that_was_not(
    digits: Source, tmp_path: Path
) -> None:
    asked: dict[str, Any] = {"ipc": 2, "start": "images", "steps": 9, "kernel_steps": 3}
    asked |= {"profile": "quick", "device": "cpu", **SMALL}
    whole, parts = tmp_path / "whole.ddset", tmp_path / "parts.ddset"
    encode(digits, whole, **asked)
    for out, again in ((parts, asked), (tmp_path / "other.ddset", asked | {"start": "means"})):
        with pytest.raises(KeyboardInterrupt):
            encode(digits, out, reporter=StopAfter(7), **asked)
        if again is asked:
            encode(digits, out, resume=True, **again)
            assert info(out)["content_digest"] == info(whole)["content_digest"]
        else:
            with pytest.raises(CheckpointMismatch):
                encode(digits, out, resume=True, **again)


def test_the_command_of_a_file_of_images_makes_it_again(large: Source, tmp_path: Path) -> None:
    first, again = tmp_path / "first.ddset", tmp_path / "again.ddset"
    encode(large, first, total_bytes=4000, steps=2, profile="quick", **SMALL)
    words = info(first)["provenance"]["command"].split()
    given = dict(zip(words[3::2], words[4::2], strict=True))
    asked = {name: given.pop(f"--{name}") for name in ("start", "transform", "profile")}
    assert asked == {"start": "images", "transform": "dct", "profile": "quick"}
    assert given.pop("--bytes") == "4000"
    numbers: dict[str, Any] = {name.strip("-"): int(value) for name, value in given.items()}
    assert numbers == {"steps": 2, **SMALL}
    encode(large, again, total_bytes=4000, **asked, **numbers)
    assert read(first).manifest.content_digest == read(again).manifest.content_digest


@pytest.mark.parametrize(
    ("choices", "name"),
    [
        ({"init": Path("x.ddset")}, "init"),
        ({"expand": 1.5}, "expand"),
        ({"origins": "per-class"}, "origins"),
        ({"patches": (9, 3)}, "patches"),
    ],
)
def test_images_and_what_excludes_them_are_refused(choices: dict[str, Any], name: str) -> None:
    with pytest.raises(UsageError, match=f"give `start`=images or `{name}`, not both"):
        PoDD(ipc=1, start="images", **choices).check()


@pytest.mark.parametrize("ipc", [0.05, 0.5])
def test_a_budget_of_less_than_an_image_in_each_cell_is_explained(
    ipc: float, digits: Source, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=f"`ipc`={ipc:g} has no room for a whole .* is `ipc`=1$"):
        encode(digits, tmp_path / "x.ddset", ipc=ipc, start="images", profile="quick", steps=2)


def test_a_start_belongs_to_the_profile_quick() -> None:
    with pytest.raises(UsageError, match="`start`=means belongs to `profile`=quick"):
        PoDD(ipc=1, start="means", profile="paper").check()


@pytest.mark.parametrize(("each", "most"), [(6, 6), (20, 18)])
def test_no_image_is_there_twice_unasked(each: int, most: int, large: Source) -> None:
    source = some_of(large, 10, each)
    plan = planned(source, 8000)
    assert (plan.start, plan.geometry.num_patches) == ("images", 10 * most)
    patches = (
        cut_out(plan.geometry, begun(plan, real_of(source)).poster.numpy())
        .reshape(10 * most, -1)
        .round(4)
    )
    assert len(np.unique(patches, axis=0)) == 10 * most


def test_a_count_of_classes_that_no_grid_fills_has_as_many_images_of_each(large: Source) -> None:
    source = some_of(large, 7, 30)
    plan = planned(source, 5000)
    assert plan.start == "images"
    assert sorted(plan.order.cells) == list(range(7))
    assert plan.geometry.num_patches % 7 == 0


def test_photographs_in_colour_need_more_of_each_class(large: Source) -> None:
    def coloured(split: Split) -> Split:
        return Split(split.images[:].repeat(3, 3), split.labels)

    source = Source("colour", large.classes, {"train": lambda: coloured(large.train)})
    plans = [planned(source, total) for total in range(4000, 16_000, 2000)]
    counts = [plan.geometry.num_patches for plan in plans if plan.start == "images"]
    assert 0 < len(counts) < len(plans)
    assert min(counts) >= 10 * IMAGES
    assert planned(large, 2800).geometry.num_patches < 10 * IMAGES


def test_more_bytes_than_images_have_a_use_for_go_into_means(large: Source) -> None:
    source = some_of(large, 10, 6)
    assert [planned(source, total).start for total in (5000, 25_000)] == ["images", "means"]


def test_bytes_make_finer_images_and_then_more(large: Source) -> None:
    plans = [planned(large, total) for total in (6000, 12_000, 24_000)]
    counts = [plan.geometry.num_patches for plan in plans]
    assert counts[0] < 200 == counts[1] < counts[2]


def some_of(source: Source, classes: int, each: int) -> Source:
    """Return a source of ``each`` images of its first classes."""
    every = source.train
    chosen = np.concatenate([np.flatnonzero(every.labels == c)[:each] for c in range(classes)])
    few = Split(every.images[chosen], every.labels[chosen])
    return Source("few", source.classes[:classes], {"train": lambda: few})


def test_who_encodes_is_told_that_training_images_are_in_the_file(
    large: Source, tmp_path: Path
) -> None:
    said = {}
    for start in ("auto", "means"):
        notes, out = Notes(), tmp_path / f"{start}.ddset"
        encode(large, out, total_bytes=4000, steps=0, profile="quick", start=start, reporter=notes)
        said[start] = [line for line in notes.said if "stay recognisable in the file" in line]
    assert len(said["auto"]) == 1
    assert said["means"] == []


def test_a_start_that_is_asked_for_on_a_gpu_takes_the_profile_that_has_it() -> None:
    cuda = torch.device("cuda")
    assert settled(PoDD(ipc=2, start="images"), cuda).profile == "quick"
    assert settled(PoDD(ipc=2, start="means"), cuda).profile == "quick"
    assert settled(PoDD(ipc=2), cuda).profile == "paper"
