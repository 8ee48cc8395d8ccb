"""What people can see of stored values: the rule of black and white."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ddcodec import load
from ddcodec.codecs.base import Pictures
from ddcodec.codecs.registry import CODECS
from ddcodec.format import read
from ddcodec.inspection.pixels import (
    BOUND,
    as_rgb,
    patches_of,
    shown_range,
    visible,
    visible_images,
    visible_posters,
)
from ddcodec.preprocessing.transform import to_unit_range
from tests.helpers import vectors

NONE = {"kind": "none"}
HALVES = {"kind": "standardise", "mean": [0.5], "std": [0.5]}


def vector(name: str) -> Any:
    return vectors.FOLDER / "valid" / f"{name}.ddset"


def column(*values: float) -> np.ndarray:
    return np.array(values, np.float32)[None, :, None]


def test_values_within_black_and_white_are_shown_as_pixels() -> None:
    shown = visible(column(0, 0.2, 0.5, 1), NONE)
    assert shown[:, 0].tolist() == [[level] * 3 for level in (0, 51, 128, 255)]
    shown = visible(column(-1, 0, 1), HALVES)
    assert shown[:, 0, 0].tolist() == [0, 128, 255]


def test_a_dark_picture_stays_dark() -> None:
    dark = np.zeros((1, 8, 8), np.float32)
    dark[0, 3:5] = 0.9
    assert shown_range(dark, whitened=False) == (0, 1)
    assert (visible(dark, NONE)[0] == 0).all()


@pytest.mark.parametrize("outside", [-0.1, 1.1])
def test_values_beyond_are_shown_at_two_and_a_half_deviations(outside: float) -> None:
    unit = np.random.default_rng(0).random((3, 5, 7), np.float32)
    unit[1, 2, 3] = outside
    low, high = shown_range(unit, whitened=False)
    mean, std = unit.mean(dtype=np.float64), unit.std(dtype=np.float64)
    assert (low, high) == pytest.approx((mean - 2.5 * std, mean + 2.5 * std))


def test_an_outlier_takes_no_contrast_from_the_rest() -> None:
    unit = np.random.default_rng(1).random((1, 40, 40), np.float32)
    unit[0, 0, 0] = 9
    shown = visible(unit, NONE)
    assert shown[0, 0, 0] == 255
    assert shown[1:].max() > 150
    assert shown[1:].min() < 80


def test_a_rounding_beyond_white_changes_nothing() -> None:
    assert shown_range(column(0, 1 + BOUND), whitened=False) == (0, 1)
    assert shown_range(column(0, 1 + 2 * BOUND), whitened=False) != (0, 1)


def test_whitened_values_have_no_black_and_white_of_their_own() -> None:
    unit = np.random.default_rng(2).random((1, 6, 6), np.float32)
    assert shown_range(unit, whitened=True) != (0, 1)


def test_a_picture_of_one_value_is_grey() -> None:
    assert (visible(np.full((1, 2, 2), 7, np.float32), NONE) == 128).all()


def test_bytes_are_shown_as_they_are() -> None:
    image = np.random.default_rng(3).integers(0, 256, (3, 4, 5), np.uint8)
    assert np.array_equal(visible(image, {"kind": "conv_whiten"}), image.transpose(1, 2, 0))
    assert np.array_equal(as_rgb(image[:1])[..., 2], image[0])


@pytest.mark.parametrize("name", ["images-conv-whiten", "images-colour", "lic-top"])
def test_stored_bytes_come_through_whatever_the_preprocessing(name: str) -> None:
    ds = load(vector(name))
    places = list(range(len(ds)))
    stored = ds.on("cpu")[0].bytes
    assert stored is not None
    expected = stored.gather(torch.tensor(places)).numpy().transpose(0, 2, 3, 1)
    assert np.array_equal(visible_images(ds, places), expected)


@pytest.mark.parametrize(
    "name", ["podd-colour", "podd-per-class-origins", "podd-one-patch", "ppodd-stages"]
)
def test_patches_are_cut_from_the_poster_that_is_shown(name: str) -> None:
    ds = load(vector(name))
    file = read(vector(name))
    drawn = CODECS[file.manifest.codec["name"]].pictures(file.manifest, file.arrays, len(ds))
    spec = file.manifest.image["preprocessing"]
    posters = visible_posters(drawn, spec)
    _, height, width = ds.image_shape
    patches = list(patches_of(drawn, posters, (height, width), range(len(ds))))
    assert len(patches) == len(ds)
    for index, (patch, (image, _)) in enumerate(zip(patches, ds, strict=True)):
        poster = drawn.posters[index * len(posters) // len(ds)]
        assert np.array_equal(patch, alone(image.numpy(), poster, spec))


def alone(image: np.ndarray, poster: np.ndarray, spec: Any) -> np.ndarray:
    """Show one patch by the black and white of its poster."""
    low, high = shown_range(to_unit_range(poster, spec), whitened=False)
    unit = (to_unit_range(image, spec).astype(np.float64) - low) / (high - low)
    return as_rgb(np.rint(unit.clip(0, 1) * 255).astype(np.uint8))


def test_no_patches_without_posters() -> None:
    assert visible_posters(Pictures(samples=range(3)), NONE) == []
