"""Mosaics: the geometry of cells, and an expansion that is exact in integers."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from ddcodec.codecs.lic.decode import all_regions
from ddcodec.codecs.shared.mosaic import Mosaic, Taps
from ddcodec.runtime.rng import generator

SIDES = st.integers(1, 40)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 256, shape, generator=generator(seed, "noise"), dtype=torch.uint8)


@given(height=SIDES, width=SIDES, rows=st.integers(1, 5), columns=st.integers(1, 5))
def test_cells_tile_the_image(height: int, width: int, rows: int, columns: int) -> None:
    geometry = Mosaic(height, width, min(rows, height), min(columns, width))
    seen = np.zeros((height, width), int)
    for cell in range(geometry.cells):
        box = geometry.box(cell)
        assert seen[box].size > 0
        seen[box] += 1
        row, column = divmod(cell, geometry.columns)
        y, x = np.indices(seen.shape)
        mine = (y * geometry.rows // height == row) & (x * geometry.columns // width == column)
        assert mine[box].all()
    assert (seen == 1).all()


def by_definition(cell: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return a cell (h, w) at full size, computed with fractions as the specification says."""
    out = np.zeros((height, width), np.uint8)
    taps = []
    for target, source in ((height, cell.shape[0]), (width, cell.shape[1])):
        axis = []
        for i in range(target):
            place = Fraction((2 * i + 1) * source, 2 * target) - Fraction(1, 2)
            low = place.numerator // place.denominator
            share = place - low
            ends = [min(max(k, 0), source - 1) for k in (low, low + 1)]
            axis.append([(ends[0], 1 - share), (ends[1], share)])
        taps.append(axis)
    for i in range(height):
        for j in range(width):
            value = sum(a * b * int(cell[y, x]) for y, a in taps[0][i] for x, b in taps[1][j])
            out[i, j] = (value + Fraction(1, 2)).__floor__()
    return out


@given(
    height=st.integers(1, 12),
    width=st.integers(1, 12),
    grid=st.integers(1, 4),
    seed=st.integers(0, 9),
)
def test_expansion_is_the_exact_fraction_rounded_once(
    height: int, width: int, grid: int, seed: int
) -> None:
    geometry = Mosaic(height, width, min(grid, height), min(grid, width))
    mosaic = noise(1, 1, height, width, seed=seed)
    for cell in range(geometry.cells):
        rows, columns = geometry.box(cell)
        wanted = by_definition(mosaic[0, 0, rows, columns].numpy(), height, width)
        assert np.array_equal(geometry.expand(mosaic, cell)[0, 0].numpy(), wanted)


@pytest.mark.parametrize(("side", "grid"), [(8, 2), (32, 2), (32, 3), (224, 5), (33, 4)])
def test_expansion_agrees_with_the_usual_bilinear_filter(side: int, grid: int) -> None:
    geometry = Mosaic(side, side, grid, grid)
    mosaics = noise(3, 3, side, side)
    smooth = geometry.expand_smoothly(mosaics.float()).view(3, grid * grid, 3, side, side)
    for cell in (0, grid * grid - 1):
        rows, columns = geometry.box(cell)
        part = mosaics[:, :, rows, columns].double()
        usual = F.interpolate(part, (side, side), mode="bilinear", align_corners=False)
        exact = geometry.expand(mosaics, cell)
        assert (exact.double() - usual).abs().max() <= 0.5 + 1e-9
        assert (smooth[:, cell] - usual).abs().max() < 1e-3


def test_wide_scales_take_64_bits_and_stay_exact() -> None:
    geometry = Mosaic(2048, 3, 3, 1)  # 683 of 2048 pixels
    white = torch.full((1, 1, 2048, 3), 255, dtype=torch.uint8)
    assert bool((geometry.expand(white, 0) == 255).all())
    taps = Taps.between(683, 2048)
    assert taps.scale * taps.scale * 512 >= 1 << 31
    assert bool((taps.weights.sum(1) == taps.scale).all())


def test_one_cell_is_the_image_itself() -> None:
    geometry = Mosaic(9, 7, 1, 1)
    images = noise(4, 3, 9, 7)
    assert torch.equal(geometry.squeeze(images), images)
    assert torch.equal(geometry.expand(images, 0), images)
    assert geometry.regions == 1
    assert torch.equal(all_regions(images, geometry), images)


def test_squeezing_puts_the_reduced_images_into_their_cells() -> None:
    geometry = Mosaic(32, 32, 2, 2)
    levels = torch.arange(8, dtype=torch.uint8) * 30
    flat = levels[:, None, None, None].expand(8, 3, 32, 32).contiguous()
    mosaics = geometry.squeeze(flat)
    assert mosaics.shape == (2, 3, 32, 32)
    for i in range(8):
        rows, columns = geometry.box(i % 4)
        assert bool((mosaics[i // 4, :, rows, columns] == levels[i]).all())
        assert bool((geometry.expand(mosaics, i % 4)[i // 4] == levels[i]).all())


def test_smooth_expansion_gives_the_gradient_of_every_pixel() -> None:
    geometry = Mosaic(6, 6, 2, 2)
    x = torch.zeros(1, 1, 6, 6, requires_grad=True)
    (gradient,) = torch.autograd.grad(geometry.expand_smoothly(x).sum(), x)
    assert torch.allclose(gradient, torch.full_like(gradient, 4.0))
