"""Warps: the same images as the augmentations of the same name, and an exact adjoint."""

from __future__ import annotations

import pytest
import torch

from ddcodec.nn.augment import augment
from ddcodec.nn.warp import WARPS, draw, resample, warp, warp_back
from ddcodec.runtime.rng import generator


def test_the_keys_below_choose_each_of_three() -> None:
    chosen = {int(torch.randint(3, (1,), generator=generator(key))) for key in range(6)}
    assert chosen == {0, 1, 2}


@pytest.mark.parametrize("name", WARPS)
@pytest.mark.parametrize("key", range(6))
def test_a_warp_moves_images_as_the_augmentation_of_its_name(name: str, key: int) -> None:
    x = torch.randn(7, 3, 12, 10, generator=generator(0, "images"), dtype=torch.float64)
    wanted = augment(x, name, generator(key))
    maps = draw(name, x.shape, generator(key))
    assert maps.shape == (7, 2, 3)
    # Maps are float32, so a flip lands next to its pixel by a ten-millionth of a side.
    torch.testing.assert_close(warp(x, maps), wanted, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(resample(x, maps), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", WARPS)
def test_the_adjoint_is_that_of_the_warp(name: str) -> None:
    g = generator(1, "images")
    x, to = torch.randn(2, 5, 2, 9, 8, generator=g, dtype=torch.float64)
    for key in range(4):
        maps = draw(name, x.shape, generator(key))
        there = (warp(x, maps) * to).sum()
        back = (x * warp_back(to, maps)).sum()
        assert float((there - back).abs()) < 1e-10 * float(there.abs() + 1)
        assert warp_back(to, maps).shape == x.shape
