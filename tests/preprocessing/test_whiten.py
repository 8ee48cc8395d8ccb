"""Whitening by a few integers: exact, invertible enough to look at, and white."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ddcodec.errors import UsageError
from ddcodec.format.rules import MOST, check_preprocessing
from ddcodec.preprocessing.transform import Preprocess, fit, to_unit_range
from ddcodec.preprocessing.whiten import LARGEST, SIZE, SMALL, band_of, cosines


def photos(count: int = 300, height: int = 16, width: int = 16, channels: int = 3) -> np.ndarray:
    """Return images uint8 (N, H, W, C) with the falling spectrum of natural ones."""
    random = np.random.default_rng(0)
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :]
    falling = 1 / np.maximum(np.hypot(rows, columns), 1 / max(height, width))
    noise = np.fft.rfft2(random.normal(size=(count, channels, height, width))) * falling
    pictures = np.fft.irfft2(noise, (height, width))
    grey = pictures.mean(1, keepdims=True)
    mixed = 2 * grey + 0.5 * pictures  # colours of a pixel are alike
    unit = 0.5 + 0.2 * mixed / mixed.std()
    return np.rint(unit * 255).clip(0, 255).astype(np.uint8).transpose(0, 2, 3, 1)


def spectrum(x: torch.Tensor) -> np.ndarray:
    """Return the mean power of every frequency, (C, H, W)."""
    down, across = (torch.from_numpy(cosines(n)) for n in x.shape[-2:])
    return (down @ x.double() @ across.T).square().mean(0).numpy()


@pytest.mark.parametrize("kernel", [SMALL, SIZE])
def test_whitening_evens_out_the_spectrum(kernel: int) -> None:
    images = photos()
    spec = fit(images, "conv_whiten", kernel)
    assert len(spec["kernel"]) == (3 * kernel) ** 2
    white = Preprocess(spec, 3, 16, 16)(images)
    assert white.dtype == torch.float32
    assert abs(float(white.std()) - 1) < 0.01
    plain = Preprocess(fit(images, "standardise"), 3, 16, 16)(images)

    def unevenness(x: torch.Tensor) -> float:
        power = spectrum(x).reshape(-1)[3:]
        return float(np.percentile(power, 95) / np.percentile(power, 5))

    assert unevenness(white) < unevenness(plain) / 4


@pytest.mark.parametrize(("height", "width", "channels"), [(16, 16, 3), (9, 14, 3), (8, 8, 1)])
def test_a_whitening_is_a_valid_preprocessing(height: int, width: int, channels: int) -> None:
    images = photos(60, height, width, channels)
    spec = fit(images, "conv_whiten")
    image: dict[str, Any] = {"channels": channels, "height": height, "width": width}
    check_preprocessing({**image, "preprocessing": spec})
    assert max(abs(v) for v in spec["kernel"]) == LARGEST <= MOST
    out = Preprocess(spec, channels, height, width)(images)
    assert out.shape == (60, channels, height, width)


def test_a_result_does_not_depend_on_batch_threads_or_layout() -> None:
    images = photos(40)
    whiten = Preprocess(fit(images, "conv_whiten"), 3, 16, 16)
    together = whiten(images)
    alone = torch.cat([whiten(image[None]) for image in images])
    first = whiten(torch.from_numpy(images).permute(0, 3, 1, 2))
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        single = whiten(images)
    finally:
        torch.set_num_threads(before)
    for other in (alone, first, single):
        assert torch.equal(together, other)


@given(st.integers(2, 64), st.integers(2, 64))
def test_every_frequency_has_a_band_and_the_mean_one_of_its_own(height: int, width: int) -> None:
    bands = band_of(height, width)
    assert bands.shape == (height, width)
    assert bands[0, 0] == 0
    assert (bands == 0).sum() == 1
    assert int(bands.max()) <= 20


def test_brightness_and_contrast_of_an_image_do_not_matter() -> None:
    images = photos(50)
    whiten = Preprocess(fit(images, "conv_whiten"), 3, 16, 16)
    soft = (64 + images // 2).astype(np.uint8)
    alike = torch.nn.functional.cosine_similarity(
        whiten(images).flatten(1), whiten(soft).flatten(1)
    )
    assert float(alike.min()) > 0.98


@pytest.mark.parametrize("value", [0, 77, 255])
def test_an_image_without_contrast_becomes_zero(value: int) -> None:
    whiten = Preprocess(fit(photos(30), "conv_whiten"), 3, 16, 16)
    assert not whiten(np.full((1, 16, 16, 3), value, np.uint8)).any()


def test_whitened_images_can_be_looked_at() -> None:
    images = photos(20)
    spec = fit(images, "conv_whiten")
    seen = to_unit_range(Preprocess(spec, 3, 16, 16)(images).numpy(), spec)
    for image, found in zip(images.transpose(0, 3, 1, 2), seen, strict=True):
        assert np.corrcoef(image.reshape(-1), found.reshape(-1))[0, 1] > 0.8
    poster = to_unit_range(np.ones((3, 20, 40), np.float32), spec)
    assert poster.shape == (3, 20, 40)


def test_what_cannot_be_whitened_is_said() -> None:
    with pytest.raises(
        UsageError, match="`preprocessing`=conv_whiten takes images of 2 to 512 pixels a side"
    ):
        fit(np.zeros((2, 513, 4, 3), np.uint8), "conv_whiten")
    with pytest.raises(UsageError, match="no contrast"):
        fit(np.zeros((2, 4, 4, 3), np.uint8), "conv_whiten")
