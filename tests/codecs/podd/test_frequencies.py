"""Encodes whose poster is stored as coefficients: ``transform``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ddcodec import CheckpointMismatch, UsageError, encode, info, load, verify
from ddcodec.codecs.podd.budget import Expected, plan_in_bytes
from ddcodec.codecs.podd.frequencies import (
    COARSEST,
    coefficients,
    expected_bytes,
    finest,
    quantised,
    rounded,
    step_for,
)
from ddcodec.codecs.podd.options import PoDD
from ddcodec.codecs.podd.plan import Plan
from ddcodec.codecs.podd.planning import settled
from ddcodec.codecs.podd.transform import BLOCK, CENTRE, blocks_of, synthesised
from ddcodec.format import context, read
from ddcodec.format.context import FREQUENCIES
from ddcodec.sources import Source
from tests.helpers.plans import noise_source, plan, request_for
from tests.helpers.reporters import StopAfter

SHAPES = st.tuples(st.integers(1, 4), st.integers(1, 30), st.integers(1, 30))


def noise(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(SHAPES, st.sampled_from([0.05, 0.3, 1.0]))
def test_what_is_held_is_within_steps_of_the_poster(
    shape: tuple[int, int, int], step: float
) -> None:
    poster = noise(shape, sum(shape)).clip(-0.7, 0.7)
    values = coefficients(poster)
    assert values.shape == (shape[0], *blocks_of((shape[1], shape[2])), BLOCK, BLOCK)
    back = synthesised(quantised(values, step), (shape[1], shape[2]), step)
    # Each coefficient is half a step off at most, and so are they all together in the mean.
    assert float(np.sqrt(((back - poster) ** 2).sum() / values.size)) <= 0.51 * step
    assert torch.equal(rounded(torch.from_numpy(poster), step), torch.from_numpy(back))


@settings(max_examples=25, deadline=None)
@given(SHAPES, st.floats(0.5, 3), st.integers(0, 5))
def test_the_expected_bytes_are_those_of_the_coder(
    shape: tuple[int, int, int], step: float, seed: int
) -> None:
    symbols = quantised(coefficients(2 * noise(shape, seed)), step)
    symbols[-1, -1, -1, -1, -1] = CENTRE + 1  # behind the last one the coder writes no zeros
    code = context.encode(symbols, 8)
    if code[0] == FREQUENCIES:  # of few symbols, or large ones, another model may take less
        assert abs(expected_bytes(symbols) - len(code)) <= 4 + 0.01 * len(code)
    else:
        assert expected_bytes(symbols) >= len(code) - 4


@settings(max_examples=20, deadline=None)
@given(SHAPES, st.integers(20, 900))
def test_a_step_is_the_finest_that_fits(shape: tuple[int, int, int], most: int) -> None:
    poster = torch.from_numpy(noise(shape))
    step = step_for(poster, most)
    values = coefficients(poster.numpy())
    if step < COARSEST:
        assert expected_bytes(quantised(values, step)) <= most
    assert finest(lambda _: True, step) == pytest.approx(2 ** (1 / 32) * step, rel=1e-5)
    finer = float(f"{step / 2 ** (1 / 32):.6g}")
    cut_off = np.abs(values).max() > finer * (CENTRE - 1)
    if finer > 2**-10:
        assert cut_off or expected_bytes(quantised(values, finer)) > most


def test_many_bytes_cut_no_coefficient_off() -> None:
    poster = torch.from_numpy(noise((1, 24, 24)) + 3)  # a mean, whose coefficients are large
    errors = [float((rounded(poster, step_for(poster, most)) - poster).abs().max())
              for most in (200, 300, 5000)]  # fmt: skip
    assert errors[0] > errors[1] >= errors[2]
    assert errors[2] < 0.2  # 1 and more where the means are cut off


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, digits: Source) -> Path:
    out = tmp_path_factory.mktemp("coded") / "first.ddset"
    encode(digits, out, total_bytes=1600, transform="dct", profile="quick", steps=6, device="cpu")
    return out


def test_a_file_is_as_large_as_it_may_be(first: Path) -> None:
    facts = info(first)
    assert verify(first) == []
    assert 0.9 * 1600 <= facts["bytes"]["total"] <= 1600
    assert " --transform dct " in facts["provenance"]["command"]


def test_patches_are_cut_from_what_the_coefficients_give(first: Path) -> None:
    file, ds = read(first), load(first)
    params = file.manifest.codec["params"]["transform"]
    height, width = params["size"]
    symbols = file.arrays["poster"]
    assert symbols.shape == (1, *blocks_of((height, width)), BLOCK, BLOCK)
    assert (symbols != CENTRE).any()
    poster = synthesised(symbols, (height, width), params["step"])
    assert np.array_equal(ds[0][0].numpy(), poster[:, :8, :8])


def test_the_last_steps_see_what_is_stored(digits: Source, tmp_path: Path) -> None:
    found = []
    for aware in (0, 0.5):
        out = tmp_path / f"{aware}.ddset"
        asked: dict[str, Any] = {"steps": 8, "kernel_steps": 4, "aware": aware}
        encode(digits, out, ipc=0.5, transform="dct", profile="quick", device="cpu", **asked)
        found.append(load(out)[0][0])
    assert not torch.equal(*found)


@pytest.mark.parametrize("stop", [2, 7])
def test_an_interrupted_encode_ends_as_one_that_was_not(
    digits: Source, tmp_path: Path, stop: int
) -> None:
    asked: dict[str, Any] = {"ipc": 0.5, "transform": "dct", "steps": 9, "kernel_steps": 3}
    asked |= {"aware": 0.6, "profile": "quick", "device": "cpu"}
    whole, parts = tmp_path / "whole.ddset", tmp_path / "parts.ddset"
    encode(digits, whole, **asked)
    with pytest.raises(KeyboardInterrupt):
        encode(digits, parts, reporter=StopAfter(stop), **asked)
    encode(digits, parts, resume=True, **asked)
    assert info(parts)["content_digest"] == info(whole)["content_digest"]


def test_another_way_to_store_is_another_encode(digits: Source, tmp_path: Path) -> None:
    out = tmp_path / "x.ddset"
    asked: dict[str, Any] = {"ipc": 0.5, "steps": 9, "profile": "quick", "device": "cpu"}
    with pytest.raises(KeyboardInterrupt):
        encode(digits, out, transform="dct", reporter=StopAfter(2), **asked)
    with pytest.raises(CheckpointMismatch):
        encode(digits, out, resume=True, **asked)


@pytest.mark.parametrize(
    ("total", "asked", "coded"),
    [
        (5000, {}, True),
        (20000, {}, False),
        (20000, {"transform": "dct"}, True),
        (5000, {"transform": "none"}, False),
        (5000, {"expand": 1}, False),
        (5000, {"quality": "bits=4"}, False),
        (5000, {"profile": "paper"}, False),
        (5000, {"init": Path("absent.ddset")}, False),
    ],
)
def test_coefficients_are_stored_where_bytes_are_few(
    total: int, asked: dict[str, Any], coded: bool
) -> None:
    request = request_for(noise_source(20, 16, 20, 3))
    options = settled(PoDD(total_bytes=total, **{"profile": "quick", **asked}), request.device)
    found = plan_in_bytes(request, options, total)
    assert (found.coded_bytes is not None) == coded
    pixels = "none" if "quality" in asked else None
    assert found.recorded["transform"] == ("dct" if coded else asked.get("transform", pixels))
    again = PoDD(**{"profile": "quick", **asked, "total_bytes": total, **_recorded(found)})
    assert plan_in_bytes(request, settled(again, request.device), total) == found


@pytest.mark.parametrize("classes", [4, 8, 16])
@pytest.mark.parametrize("total", [5200, 6500, 8700, 12000])
def test_a_plan_that_falls_back_to_pixels_is_that_of_pixels(classes: int, total: int) -> None:
    source = noise_source(classes, 16, 16, 3)
    request, asked = request_for(source), {"total_bytes": total, "profile": "quick"}
    auto, pixels = (
        plan_in_bytes(request, settled(PoDD(**asked, **more), request.device), total)
        for more in ({}, {"transform": "none"})
    )
    if auto.coded_bytes is None:
        # The command of the other is longer, so its poster is a little smaller.
        assert pixels.ipc <= auto.ipc < 1.03 * pixels.ipc
    assert Expected(source).bytes_of(auto) <= total


def test_the_published_profile_sees_coefficients_at_the_end() -> None:
    asked: dict[str, Any] = {"ipc": 0.5, "profile": "paper"}
    coded, pixels = (
        plan(10, (8, 8), **asked, transform=transform).stages[-1].aware
        for transform in ("dct", "none")
    )
    assert (coded, pixels) == (0.25, 0)


def _recorded(plan: Plan) -> dict[str, Any]:
    return {name: plan.recorded[name] for name in ("transform",) if plan.recorded[name]}


@pytest.mark.parametrize(
    "asked", [{"expand": 1.5}, {"quality": "bits=6"}, {"quality": "high"}, {"quality": "small"}]
)
def test_coefficients_have_no_bits_and_do_not_grow(asked: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"`transform`=dct or `{next(iter(asked))}`, not both"):
        PoDD(ipc=1, transform="dct", **asked)


def test_too_few_bytes_are_said(digits: Source, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="`total_bytes`=600 is too few"):
        encode(digits, tmp_path / "x.ddset", total_bytes=600, transform="dct", steps=1)
    assert not (tmp_path / "x.ddset").exists()
