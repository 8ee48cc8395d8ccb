"""Augmentation: linear, repeatable, differentiable, and moving images the way it says."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from ddcodec.distill.augment import AUGMENTATIONS, augment, flip, rotate, shift, shift_rotate
from ddcodec.distill.rng import generator
from ddcodec.errors import UsageError

MOVING = [name for name in AUGMENTATIONS if name != "none"]


@pytest.mark.parametrize("name", AUGMENTATIONS)
@pytest.mark.parametrize("key", range(4))  # enough for flip_rotate to choose each of its three
def test_augmentation_is_linear_repeatable_and_keeps_the_shape(name: str, key: int) -> None:
    g = generator(0, "images")
    a, b = torch.randn(2, 9, 3, 12, 10, generator=g, dtype=torch.float64)

    def run(x: Tensor) -> Tensor:
        return augment(x, name, generator(key, "key"))

    assert run(a).shape == a.shape
    torch.testing.assert_close(run(a + 2 * b), run(a) + 2 * run(b))
    assert torch.equal(run(a), run(a))


@pytest.mark.parametrize("name", MOVING)
def test_second_derivatives_flow_through_as_through_a_matrix(name: str) -> None:
    x = torch.randn(3, 1, 5, 6, generator=generator(1), dtype=torch.float64, requires_grad=True)
    for key in range(4):

        def cubed(images: Tensor, key: int = key) -> Tensor:
            return augment(images, name, generator(key)).pow(3).sum()

        assert torch.autograd.gradcheck(cubed, x)
        assert torch.autograd.gradgradcheck(cubed, x)


@pytest.mark.parametrize("name", MOVING)
def test_another_key_moves_the_images_otherwise(name: str) -> None:
    x = torch.randn(16, 1, 16, 16, generator=generator(2))
    seen = [augment(x, name, generator(key)) for key in range(6)]
    assert all(not torch.equal(seen[0], other) for other in seen[1:])


def test_flip_rotate_makes_one_choice_for_a_whole_batch() -> None:
    x = torch.rand(32, 1, 16, 16, generator=generator(3)) + 1
    kinds = set()
    for key in range(40):
        y = augment(x, "flip_rotate", generator(key))
        same_or_mirrored = ((y == x) | (y == x.flip(3))).flatten(1).all(1)
        only_pixels_of_x = bool(torch.isin(y[y != 0], x).all())
        if bool(same_or_mirrored.all()):
            kinds.add("flip")
        elif only_pixels_of_x:
            kinds.add("crop")
        else:
            kinds.add("rotate")
    assert kinds == {"flip", "crop", "rotate"}


def test_about_half_of_the_images_are_mirrored() -> None:
    x = torch.rand(400, 1, 4, 4, generator=generator(4))
    y = flip(x, generator(5))
    mirrored = (y == x.flip(3)).flatten(1).all(1)
    assert bool((mirrored | (y == x).flatten(1).all(1)).all())
    assert 150 < int(mirrored.sum()) < 250


def test_a_shift_reaches_an_eighth_of_the_side_and_pads_with_zeros() -> None:
    x = torch.zeros(500, 2, 32, 16)
    x[:, :, 16, 8] = 1
    places = shift(x, generator(6))[:, 0].nonzero()
    assert len(places) == 500  # none lost, none doubled
    dy, dx = places[:, 1] - 16, places[:, 2] - 8
    assert sorted(set(dy.tolist())) == list(range(-4, 5))
    assert sorted(set(dx.tolist())) == list(range(-2, 3))
    corner = torch.ones(50, 1, 8, 8)
    assert set(shift(corner, generator(7)).unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize(("height", "width"), [(33, 33), (33, 65)])
def test_rotation_keeps_centre_and_distances_and_stays_within_fifteen_degrees(
    height: int, width: int
) -> None:
    x = torch.zeros(64, 2, height, width, dtype=torch.float64)
    cy, cx = height // 2, width // 2
    x[:, 0, cy, cx] = 1
    x[:, 1, cy, cx + 12] = 1
    turned = rotate(x, generator(8))
    torch.testing.assert_close(turned[:, 0, cy, cx], torch.ones(64, dtype=torch.float64))
    mass = turned[:, 1].sum((1, 2))
    rows = torch.arange(height, dtype=torch.float64)[None, :, None] - cy
    columns = torch.arange(width, dtype=torch.float64)[None, None, :] - cx
    y = (turned[:, 1] * rows).sum((1, 2)) / mass
    u = (turned[:, 1] * columns).sum((1, 2)) / mass
    assert float((torch.hypot(y, u) - 12).abs().max()) < 0.5
    degrees = torch.rad2deg(torch.atan2(y, u))
    assert float(degrees.abs().max()) < 15 + math.degrees(0.5 / 12)
    assert float(degrees.max()) > 10
    assert float(degrees.min()) < -10


def test_shift_rotate_never_mirrors_and_moves_a_little() -> None:
    x = torch.zeros(64, 1, 33, 33, dtype=torch.float64)
    x[:, :, 16, 8:25] = torch.arange(1, 18, dtype=torch.float64)  # brighter to the right
    y = shift_rotate(x, generator(9))
    columns = torch.arange(33, dtype=torch.float64) - 16
    before = (x * columns).sum((1, 2, 3)) / x.sum((1, 2, 3))
    after = (y * columns).sum((1, 2, 3)) / y.sum((1, 2, 3))
    assert float((after - before).abs().max()) < 33 / 8 + 1
    assert float((after - before).abs().max()) > 2
    # The long tail stays on the left, wherever the bar went.
    skewness = (y * (columns - after[:, None, None, None]) ** 3).sum((1, 2, 3))
    assert bool((skewness < 0).all())


def test_an_unknown_augmentation_is_named_and_the_known_ones_listed() -> None:
    with pytest.raises(UsageError, match=r"unknown augmentation 'blur'.*shift_rotate"):
        augment(torch.zeros(1, 1, 4, 4), "blur", generator(0))
