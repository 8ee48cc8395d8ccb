"""Posters that are stored as coefficients of a cosine transform."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddcodec.codecs.podd import transform
from ddcodec.codecs.podd.transform import (
    BLOCK,
    CENTRE,
    MIXING,
    NORMS,
    TABLE,
    blocks_of,
    synthesised,
)
from tests.helpers.transformed_files import analysed

SIZES = st.tuples(st.integers(1, 20), st.integers(1, 20))


def one_by_one(symbols: np.ndarray, size: tuple[int, int], step: float) -> np.ndarray:
    """The specification's sums, a number at a time, in Python's integers and floats."""
    channels = len(symbols)
    out = np.empty((channels, *size), np.float32)
    table = TABLE.tolist()
    for i, j in np.ndindex(size):
        (down, y), (across, x) = divmod(i, 8), divmod(j, 8)
        sums = [0] * channels
        for c, u, v in np.ndindex(channels, 8, 8):
            sums[c] += table[u][y] * table[v][x] * (int(symbols[c, down, across, u, v]) - 128)
        if channels != 3:
            out[:, i, j] = [np.float32(step * total / 2**24) for total in sums]
            continue
        t0, t1, t2 = ((step * norm) * total for norm, total in zip(NORMS, sums, strict=True))
        mixed = t0 + t1 + t2, t0 + 0 * t1 - 2 * t2, t0 - t1 + t2
        out[:, i, j] = [np.float32(value / 2**24) for value in mixed]
    return out


def some(channels: int, size: tuple[int, int], seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (channels, *blocks_of(size), BLOCK, BLOCK), np.uint8)


def test_waves_are_cosines_and_mixing_turns() -> None:
    y = np.arange(8)
    for u, wave in enumerate(TABLE):
        scale = 4096 * np.sqrt((1 if u == 0 else 2) / 8)
        assert np.array_equal(wave, np.rint(scale * np.cos(np.pi * (2 * y + 1) * u / 16)))
    turn = MIXING * np.array(NORMS)[:, None]
    assert np.allclose(turn @ turn.T, np.eye(3), rtol=0, atol=1e-15)


@given(st.integers(1, 4), SIZES, st.integers(0, 2**32 - 1), st.integers(-30, 29), st.integers(1, 9))
def test_values_are_those_of_the_specification(
    channels: int, size: tuple[int, int], seed: int, power: int, part: int
) -> None:
    symbols, step = some(channels, size, seed), 1.7 * 10.0**power
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transform, "PART_BLOCKS", part)
        found = synthesised(symbols, size, step)
    assert found.tobytes() == one_by_one(symbols, size, step).tobytes()


@given(st.sampled_from([1, 3]), SIZES, st.integers(0, 2**32 - 1))
def test_what_is_analysed_comes_back(channels: int, size: tuple[int, int], seed: int) -> None:
    poster = np.random.default_rng(seed).uniform(-1, 1, (channels, *size))
    step = 0.11  # no coefficient has more than 8 sqrt(3)
    off = synthesised(analysed(poster, step), size, step) - poster
    assert np.abs(off).max() < 8 * step  # 64 coefficients, each at most half a step off


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_the_largest_values_stay_finite(channels: int) -> None:
    waves = np.sign(TABLE)
    for y, x, sign in ((0, 0, 1), (3, 4, 1), (7, 7, -1)):
        signs = sign * np.outer(waves[:, y], waves[:, x])
        symbols = np.where(signs > 0, 255, 0).astype(np.uint8)
        shape = (channels, 1, 1, BLOCK, BLOCK)
        found = synthesised(np.broadcast_to(symbols, shape), (8, 8), 9.9e29)
        assert np.isfinite(found).all()
        assert 9e32 / 2 < np.abs(found).max() < 1e34


def test_no_coefficients_are_zeros_without_a_sign() -> None:
    for channels in (1, 3):
        shape = (channels, 2, 1, BLOCK, BLOCK)
        found = synthesised(np.full(shape, CENTRE, np.uint8), (9, 5), 0.3)
        assert found.tobytes() == np.zeros((channels, 9, 5), np.float32).tobytes()
