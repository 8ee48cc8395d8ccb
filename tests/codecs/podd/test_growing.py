"""Encodes whose poster is stored at a lower resolution: ``expand``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ddcodec import CheckpointMismatch, UsageError, encode, info, load
from ddcodec.codecs.podd.budget import plan_in_bytes
from ddcodec.codecs.podd.decode import PosterSamples, geometry_of
from ddcodec.codecs.podd.expand import expanded
from ddcodec.codecs.podd.growing import reduced
from ddcodec.codecs.podd.layout import (
    images_shown,
    patch_grid_for,
    pixel_budget,
    poster_size,
    smallest_ipc,
    stored_size,
)
from ddcodec.codecs.podd.options import PoDD
from ddcodec.codecs.podd.plan import Plan
from ddcodec.codecs.podd.planning import recorded, settled
from ddcodec.codecs.podd.poster import EVEN, PosterGeometry
from ddcodec.codecs.podd.presets import PRESETS
from ddcodec.codecs.podd.stored import StoredBits
from ddcodec.codecs.podd.variables import PosterVariables
from ddcodec.format import read
from ddcodec.sources import Source
from tests.helpers.plans import noise_source, plan, request_for
from tests.helpers.reporters import StopAfter

FACTORS = st.sampled_from([1.01, 1.25, 1.5, 2, 3, 4])


def made(poster: torch.Tensor, geometry: PosterGeometry) -> PosterVariables:
    labels = np.ones((geometry.num_patches, 1), np.float32)
    return PosterVariables(geometry, poster, fixed=labels)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 4), st.integers(0, 5), st.booleans())
def test_patches_are_those_that_the_decoder_cuts(
    height: int, width: int, times: int, more: int, coarse: bool
) -> None:
    large = times * height + min(more, height), times * width + more // 2
    patch = (large[0] + 1) // 2, (large[1] + 1) // 2
    geometry = PosterGeometry(*large, *patch, min(3, large[1] - patch[1] + 1), 1)
    g = torch.Generator().manual_seed(height * 100 + width)
    variables = made(3 * torch.randn(3, height, width, generator=g), geometry)
    stored = StoredBits(3, 4) if coarse else StoredBits(None, None)
    held = stored.rounded(variables.poster).numpy()
    labels = np.ones((geometry.num_patches, 1), np.float32)
    decoded = PosterSamples.from_poster(torch.from_numpy(expanded(held, large)), geometry, labels)
    index = torch.arange(geometry.num_patches)
    torch.testing.assert_close(
        variables.patches(stored), decoded.gather(index), atol=1e-5, rtol=1e-5
    )


def test_gradients_come_back_by_the_adjoint() -> None:
    geometry = PosterGeometry(13, 21, 5, 6, 7, 4)
    g = torch.Generator().manual_seed(0)
    variables = made(torch.randn(3, 9, 14, generator=g), geometry)
    patches = variables.patches()
    way = torch.randn(patches.shape, generator=g)
    (back,) = variables.pull_back(way, None)
    assert back.shape == variables.poster.shape
    forth = float((patches * way).sum())
    assert forth == pytest.approx(float((variables.poster * back).sum()), rel=1e-4)


def test_a_poster_to_begin_from_keeps_its_mean_and_its_size() -> None:
    poster = torch.ones(3, 15, 38)
    assert reduced(poster, (15, 38)) is poster
    torch.testing.assert_close(reduced(poster, (10, 25)), torch.ones(3, 10, 25))


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 120), st.floats(0.05, 3), FACTORS, st.integers(4, 40))
def test_what_is_stored_keeps_to_the_budget(
    classes: int, ipc: float, factor: float, side: int
) -> None:
    ipc = max(round(ipc, 3), smallest_ipc(classes, factor))
    large = poster_size(ipc, classes, side, side, (classes, 1), expand=factor)
    small = stored_size(large, factor)
    assert small[0] * small[1] <= pixel_budget(ipc, classes, side, side)
    assert large[0] * large[1] <= pixel_budget(ipc, classes, side, side, factor)
    assert all(side <= n <= 8 * m for n, m in zip(large, small, strict=True))
    assert small != large


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 500), FACTORS)
def test_the_smallest_budget_is_that_of_one_patch(classes: int, factor: float) -> None:
    smallest = smallest_ipc(classes, factor)
    assert images_shown(smallest, factor) * classes == pytest.approx(1, rel=0.01)
    poster_size(smallest, classes, 6, 6, (classes, 1), expand=factor)
    with pytest.raises(UsageError, match="the smallest budget for this data set is `ipc`="):
        poster_size(0.98 * smallest, classes, 6, 6, (classes, 1), expand=factor)


def test_a_published_size_is_that_of_the_poster_that_patches_are_of() -> None:
    table = {0.9: (60, 153)}
    assert poster_size(0.4, 10, 32, 32, (5, 2), table, expand=1.5) == (60, 153)
    assert stored_size((60, 153), 1.5) == (40, 102)


def test_all_but_the_stored_size_is_that_of_as_many_pixels_as_there_are_after_it() -> None:
    small, large = plan(10, (8, 8), ipc=0.4, expand=1.5), plan(10, (8, 8), ipc=0.9)
    assert small.geometry == large.geometry
    assert small.stages == large.stages
    assert small.label_grid == large.label_grid
    assert large.size == (large.geometry.height, large.geometry.width)
    assert small.size == stored_size(large.size, 1.5)
    one = plan(10, (8, 8), ipc=0.4, expand=1)
    assert one == plan(10, (8, 8), ipc=0.4)


def test_a_command_names_the_factor_wherever_another_one_could_be_meant() -> None:
    request = request_for(noise_source(2, 8, 8))
    for asked, given_, said in (
        ({"ipc": 1.0}, None, None),
        ({"ipc": 1.0}, 1, None),
        ({"ipc": 1.0}, 1.5, 1.5),
        ({"total_bytes": 5000}, None, None),
        ({"total_bytes": 5000}, 1, 1),
        ({"total_bytes": 5000}, 1.5, 1.5),
    ):
        options = settled(PoDD(**asked, expand=given_), request.device)
        assert options.expansion == (given_ or 1)
        assert recorded(1.0, options, request)["expand"] == said


@pytest.mark.parametrize(
    ("total", "asked", "factor"),
    [
        (1450, {}, 1.5),
        (3000, {}, 1),
        (1450, {"expand": 1}, 1),
        (3000, {"expand": 2}, 2),
        (1450, {"profile": "paper"}, 1),
        (1450, {"init": Path("absent.ddset")}, 1),
        (3000, {"origins": "per-class"}, 1),
    ],
)
def test_a_poster_of_icons_in_few_bytes_is_stored_smaller(
    digits: Source, total: int, asked: dict[str, Any], factor: float
) -> None:
    request = request_for(digits)
    options = settled(PoDD(total_bytes=total, **{"profile": "quick", **asked}), request.device)
    plan = plan_in_bytes(request, options, total)
    height, width = plan.geometry.height, plan.geometry.width
    assert plan.size == stored_size((height, width), factor)
    again = PoDD(**{"profile": "quick", **asked, "total_bytes": total, **_expansion(plan)})
    assert plan_in_bytes(request, settled(again, request.device), total) == plan


def _expansion(plan: Plan) -> dict[str, Any]:
    return {name: plan.recorded[name] for name in ("expand",) if plan.recorded[name] is not None}


@pytest.mark.parametrize("value", [0.9, 4.1, float("nan")])
def test_a_factor_out_of_range_is_refused(value: float) -> None:
    with pytest.raises(UsageError, match="`expand`"):
        PoDD(ipc=1, expand=value)


def test_posters_in_stages_have_no_factor(digits: Source, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="`expand` belongs to the codec podd"):
        encode(digits, tmp_path / "x.ddset", codec="ppodd", ipc=1, expand=1.5)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, digits: Source) -> Path:
    out = tmp_path_factory.mktemp("growing") / "first.ddset"
    encode(digits, out, ipc=0.4, expand=1.5, steps=4, device="cpu")
    return out


def test_a_file_holds_the_small_poster_and_gives_patches_of_the_large_one(first: Path) -> None:
    facts, file, ds = info(first), read(first), load(first)
    assert 0.85 * 0.4 * 640 <= facts["pixels"] <= 0.4 * 640
    assert " --expand 1.5 " in facts["provenance"]["command"]
    geometry = geometry_of(file.manifest)
    assert file.manifest.codec["params"] == {"expanded": [geometry.height, geometry.width]}
    poster = torch.from_numpy(file.arrays["poster"])
    assert tuple(poster.shape[1:]) == stored_size((geometry.height, geometry.width), 1.5)
    patches = made(poster, geometry).patches()
    decoded = torch.stack([ds[i][0] for i in range(len(ds))])
    torch.testing.assert_close(patches, decoded, atol=1e-5, rtol=1e-5)


def test_an_interrupted_encode_resumes_to_the_same_file(
    first: Path, digits: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ddcodec.codecs.podd.outer_loop.SNAPSHOT_SECONDS", 0.0)
    out = tmp_path / "x.ddset"
    how: dict[str, Any] = {"ipc": 0.4, "steps": 4, "device": "cpu"}
    with pytest.raises(KeyboardInterrupt):
        encode(digits, out, expand=1.5, reporter=StopAfter(2), **how)
    with pytest.raises(CheckpointMismatch):
        encode(digits, out, expand=1.6, resume=True, **how)
    encode(digits, out, expand=1.5, resume=True, **how)
    assert out.read_bytes() == first.read_bytes()


def test_a_budget_of_bytes_is_kept(digits: Source, tmp_path: Path) -> None:
    out = tmp_path / "x.ddset"
    encode(digits, out, total_bytes=1500, expand=2, steps=2)
    assert 0.85 * 1500 <= out.stat().st_size <= 1500


def test_labels_take_no_more_bytes_beside_fewer_pixels() -> None:
    """They are an eighth of the numbers that are stored, at most, where patches lie closer."""
    size, patch, grid = (3, 60, 153), (32, 32), (5, 2)
    once, twice = (
        patch_grid_for(PRESETS["cifar10"], "quick", size, patch, grid, EVEN, factor)
        for factor in (1, 3)
    )
    assert math.prod(once) >= 70
    assert 10 * math.prod(twice) <= 3 * 60 * 153 / 9 / 8


def test_a_poster_goes_on_where_sizes_agree_and_else_lends_its_images(
    first: Path, digits: Source, tmp_path: Path
) -> None:
    theirs = read(first).arrays["poster"]
    for factor in (1.5, 1.0):
        out = tmp_path / f"{factor}.ddset"
        encode(digits, out, ipc=0.4, expand=factor, init=first, steps=0, quality="lossless")
        found = read(out).arrays["poster"]
        assert np.isfinite(found).all()
        assert np.array_equal(found, theirs) == (factor == 1.5)


@pytest.mark.parametrize("profile", ["quick", "paper"])
def test_less_than_an_image_of_pixels_can_be_stored(
    profile: str, digits: Source, tmp_path: Path
) -> None:
    out = tmp_path / "x.ddset"
    encode(digits, out, ipc=0.05, expand=2, profile=profile, steps=1, class_grid=(5, 2))
    assert info(out)["pixels"] <= 0.05 * 640
    assert load(out)[0][0].shape == (1, 8, 8)
