"""From 8-bit pixels to network inputs, the same bits everywhere."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from ddcodec import Unsupported, UsageError
from ddcodec.preprocessing import transform as preprocess
from ddcodec.preprocessing.transform import Preprocess, fit_standardise, to_unit_range

RGB = {"kind": "standardise", "mean": [0.5, 0.25, 0.125], "std": [0.2, 0.3, 0.4]}


def images(n: int = 4, h: int = 5, w: int = 6, c: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, h, w, c), dtype=np.uint8)


def test_every_value_is_computed_in_float64_and_rounded_once() -> None:
    x = images()
    found = Preprocess(RGB, 3, 5, 6)(x).numpy()
    mean, std = np.array(RGB["mean"]), np.array(RGB["std"])
    expected = ((x / 255 - mean) / std).astype(np.float32).transpose(0, 3, 1, 2)
    assert np.array_equal(found, expected)


def test_none_gives_values_from_0_to_1() -> None:
    x = np.array([[[0], [255]]], dtype=np.uint8)
    assert Preprocess({"kind": "none"}, 1, 1, 2)(x).tolist() == [[[[0.0, 1.0]]]]


def test_every_layout_gives_the_same_images() -> None:
    x = images()
    colour = Preprocess(RGB, 3, 5, 6)
    expected = colour(x)
    first = torch.from_numpy(x).permute(0, 3, 1, 2)
    assert torch.equal(colour(first), expected)
    assert torch.equal(colour(first.contiguous()), expected)
    assert torch.equal(colour(x[1]), expected[1:2])
    assert torch.equal(colour(Image.fromarray(x[2])), expected[2:3])
    assert torch.equal(colour(x[::-1]), expected.flip(0))
    grey = Preprocess({"kind": "none"}, 1, 5, 6)
    assert torch.equal(grey(x[..., 0]), grey(x[..., :1]))


def test_where_a_shape_reads_both_ways_arrays_are_channel_last() -> None:
    x = images(2, 3, 3, 3)
    exact = Preprocess({"kind": "none"}, 3, 3, 3)
    last = torch.from_numpy(np.float32(x / 255)).permute(0, 3, 1, 2)
    assert torch.equal(exact(x), last)
    assert torch.equal(exact(torch.from_numpy(x).permute(0, 3, 1, 2)), last)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_of_any_colour_become_the_file_s(mode: str, channels: int) -> None:
    grey = Image.fromarray(images()[0, ..., 0]).point(lambda value: 255 * (value > 127))
    found = Preprocess({"kind": "none"}, channels, 5, 6)(grey.convert(mode))
    expected = torch.from_numpy(np.array(grey) / np.float32(255))
    assert torch.equal(found, expected.expand(1, channels, 5, 6))


def test_many_images_are_looked_up_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    x = images(10)
    whole = Preprocess(RGB, 3, 5, 6)(x)
    monkeypatch.setattr(preprocess, "AT_ONCE", 400)
    assert torch.equal(Preprocess(RGB, 3, 5, 6)(x), whole)
    assert Preprocess(RGB, 3, 5, 6)(x[:0]).shape == (0, 3, 5, 6)


def test_the_images_that_are_given_stay_as_they_are() -> None:
    x = images()
    x.flags.writeable = False
    Preprocess(RGB, 3, 5, 6)(x).fill_(0)
    assert np.array_equal(x, images())


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (images(h=6), "do not fit"),
        (images(c=1), "do not fit"),
        (images().astype(np.float32), "uint8"),
        ([[1, 2]], "list"),
        (Image.new("RGB", (3, 3)), "do not fit"),
        (Image.new("I;16", (6, 5)), "8 bits"),
    ],
)
def test_other_images_are_refused(x: object, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Preprocess(RGB, 3, 5, 6)(x)  # type: ignore[arg-type]


def test_an_unknown_kind_is_unsupported() -> None:
    with pytest.raises(Unsupported, match="'sharpen'"):
        Preprocess({"kind": "sharpen"}, 3, 5, 6)


def test_standardised_images_have_mean_0_and_std_1() -> None:
    x = images(200)
    spec = fit_standardise(x)
    z = Preprocess(spec, 3, 5, 6)(x)
    assert torch.allclose(z.mean((0, 2, 3)), torch.zeros(3), atol=1e-4)
    assert torch.allclose(z.std((0, 2, 3)), torch.ones(3), atol=1e-3)
    assert fit_standardise(x[::-1].copy()) == spec
    assert fit_standardise(np.zeros((2, 3, 3, 1), np.uint8))["std"] == [1.0]


def test_the_way_back_gives_the_pixels() -> None:
    x = images()
    z = Preprocess(RGB, 3, 5, 6)(x).numpy()
    pixels = to_unit_range(z, RGB).transpose(0, 2, 3, 1) * 255
    assert np.array_equal(np.rint(pixels), x)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(UsageError, match="one of none, standardise, conv_whiten, got 'zca'"):
        preprocess.fit(np.zeros((2, 4, 4, 1), np.uint8), "zca")
