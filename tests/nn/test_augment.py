"""Augmentation: linear, repeatable, differentiable, and moving images the way it says."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from ddcodec.errors import UsageError
from ddcodec.nn.augment import (
    AUGMENTATIONS,
    augment,
    colour,
    crop_cutout_flip,
    cutout,
    dsa,
    flip,
    rotate,
    scale,
    shift,
    shift_rotate,
)
from ddcodec.runtime.rng import generator

MOVING = [name for name in AUGMENTATIONS if name != "none"]


@pytest.mark.parametrize("name", AUGMENTATIONS)
@pytest.mark.parametrize("key", range(8))  # enough to choose nearly each of three or six
def test_augmentation_is_affine_repeatable_and_keeps_the_shape(name: str, key: int) -> None:
    g = generator(0, "images")
    a, b = torch.randn(2, 9, 3, 12, 10, generator=g, dtype=torch.float64)

    def run(x: Tensor) -> Tensor:
        return augment(x, name, generator(key, "key"))

    assert run(a).shape == a.shape
    torch.testing.assert_close(run(a + 2 * b), run(a) + 2 * (run(b) - run(0 * b)))
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


def test_cutout_takes_at_most_a_square_of_half_a_side() -> None:
    x = torch.ones(500, 2, 16, 12)
    y = cutout(x, generator(6))
    zeros = (y == 0).flatten(1).sum(1) // 2
    assert int(zeros.max()) == 8 * 6
    assert int(zeros.min()) >= 4 * 3  # a corner
    gone = (y[0, 0] == 0).nonzero()
    low, high = gone.min(0).values, gone.max(0).values
    assert len(gone) == int((high - low + 1).prod())


def test_colour_keeps_the_shape_of_an_image_and_its_flat_areas() -> None:
    x = torch.ones(50, 3, 8, 8) * torch.tensor([0.1, 0.5, 0.9])[:, None, None]
    y = colour(x, generator(7))
    assert torch.allclose(y, y[:, :, :1, :1].expand_as(y), atol=1e-6)
    assert y.flatten(1).std(0).min() > 0.1
    grey = torch.rand(20, 1, 8, 8, generator=generator(8))
    correlation = torch.stack(
        [
            torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1]
            for a, b in zip(grey, colour(grey, generator(9)), strict=True)
        ]
    )
    assert correlation.min() > 0.999


def test_scale_stretches_by_a_fifth_at_most() -> None:
    x = torch.zeros(300, 1, 41, 41)
    x[:, :, 16:25, 16:25] = 1  # 9 pixels wide
    wide = (scale(x, generator(10))[:, 0, 20] > 0.5).sum(1).float()
    assert 7 <= wide.min() < 8.1
    assert 9.9 < wide.max() <= 11


def test_dsa_makes_one_of_six_choices_for_a_whole_batch() -> None:
    x = torch.rand(16, 3, 16, 16, generator=generator(11)) + 1
    choices = {"colour": colour, "crop": shift, "cutout": cutout, "flip": flip, "scale": scale}
    seen = set()
    for key in range(60):
        y = dsa(x, generator(key))
        # What is left of the generator after the choice is what the choice draws from.
        names = []
        for name, change in [*choices.items(), ("rotate", rotate)]:
            random = generator(key)
            torch.randint(6, (1,), generator=random)
            if torch.equal(change(x, random), y):
                names.append(name)
        assert len(names) == 1
        seen.add(names[0])
    assert seen == {*choices, "rotate"}


def test_a_pair_stacked_as_channels_moves_together() -> None:
    x = torch.rand(12, 3, 16, 16, generator=generator(12))
    both = crop_cutout_flip(torch.cat([x, 2 * x], 1), generator(13))
    assert torch.equal(both[:, 3:], 2 * both[:, :3])
