"""The model ``frequencies`` of the coder ``context``: coefficients of blocks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddcodec.format import context
from ddcodec.format.context import frequencies
from ddcodec.format.context.arithmetic import RangeEncoder


def blocks(shape: tuple[int, int, int], bits: int, spread: float, seed: int = 0) -> np.ndarray:
    """Return symbols uint8 (C, rows, columns, 8, 8), the smaller the faster their waves."""
    random = np.random.default_rng(seed)
    speed = np.add.outer(np.arange(8), np.arange(8))
    values = random.laplace(size=(*shape, 8, 8)) * spread / (1 + speed) ** 1.5
    half = 2 ** (bits - 1)
    return (np.rint(values).clip(-half, half - 1) + half).astype(np.uint8)


def coded(symbols: np.ndarray, bits: int) -> bytes:
    coder = RangeEncoder()
    frequencies.encode(coder, symbols, bits)
    return bytes([context.FREQUENCIES]) + coder.finish()


@given(
    st.tuples(*[st.integers(1, 3)] * 3),
    st.integers(1, 8),
    st.floats(0, 20),
    st.integers(0, 2**32 - 1),
)
def test_any_blocks_come_back(
    shape: tuple[int, int, int], bits: int, spread: float, seed: int
) -> None:
    symbols = blocks(shape, bits, spread, seed)
    assert frequencies.suits(symbols, bits)
    found = context.decode(coded(symbols, bits), symbols.shape, bits)
    assert found.dtype == np.uint8
    assert np.array_equal(found, symbols)
    found = context.decode(context.encode(symbols, bits), symbols.shape, bits)
    assert np.array_equal(found, symbols)


@given(st.integers(1, 8), st.binary(max_size=60))
def test_any_bytes_end_in_symbols_or_a_refusal(bits: int, code: bytes) -> None:
    try:
        found = context.decode(b"\2" + code, (2, 1, 2, 8, 8), bits)
    except ValueError:
        return
    assert int(found.max()) < 2**bits
    assert frequencies.suits(found, bits)


def test_coefficients_are_smaller_than_by_their_bits() -> None:
    symbols = blocks((3, 8, 9), 8, 4.0)
    assert 0.8 < np.mean(symbols == 128) < 0.9
    code = context.encode(symbols, 8)
    assert code[0] == context.FREQUENCIES
    coder = RangeEncoder()
    context.counts.encode(coder, symbols, 8)
    assert len(code) < 0.85 * len(coder.finish())


def test_the_order_is_that_of_the_specification() -> None:
    """What is seen changes what is expected, so a code tells the order of everything."""
    symbols = blocks((2, 2, 1), 8, 9.0)
    coder, seen = RangeEncoder(), {}  # type: RangeEncoder, dict[object, list[int]]

    def decide(about: object, bit: int) -> None:
        at = seen.setdefault(about, [2, 2])
        coder.encode(at[0] if bit else 0, at[bit], sum(at))
        at[bit] += 5

    for row in range(2):
        for speed in range(15):
            for u in range(max(0, speed - 7), min(speed, 7) + 1):
                for channel in range(2):
                    q = int(symbols[channel, row, 0, u, speed - u]) - 128
                    decide(min(speed, 9), int(q != 0))
                    if q:
                        coder.encode(int(q < 0), 1, 2)
                    for k in range(1, abs(q) + 1):
                        decide((min(k, 6), min(speed, 5)), int(abs(q) > k))
    assert coded(symbols, 8)[1:] == coder.finish()


def test_coefficients_that_are_large_together_have_another_model() -> None:
    symbols = np.full((1, 1, 1, 8, 8), 128 + 8, np.uint8)
    assert np.array_equal(context.decode(coded(symbols, 8), symbols.shape, 8), symbols)
    symbols[0, 0, 0, 3, 3] += 1
    assert context.encode(symbols, 8)[0] == context.COUNTS
    with pytest.raises(ValueError, match="coefficient is out of range"):
        context.decode(coded(symbols, 8), symbols.shape, 8)


@pytest.mark.parametrize("bits", [8, 4, 1])
def test_a_coefficient_out_of_range_is_refused(bits: int) -> None:
    symbols = np.full((1, 1, 1, 8, 8), 1 << bits - 1)
    for symbol in (0, 2**bits - 1):
        symbols[0, 0, 0, 0, 0] = symbol
        assert np.array_equal(context.decode(coded(symbols, bits), symbols.shape, bits), symbols)
    for symbol in (-1, 2**bits):
        symbols[0, 0, 0, 0, 0] = symbol
        with pytest.raises(ValueError, match="coefficient is out of range"):
            context.decode(coded(symbols, bits), symbols.shape, bits)


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 1, 1, 1, 8, 8), (2, 2, 2, 8, 7), (64, 8)])
def test_other_shapes_have_no_frequencies(shape: tuple[int, ...]) -> None:
    symbols = np.full(shape, 128, np.uint8)
    assert context.encode(symbols, 8)[0] != context.FREQUENCIES
    with pytest.raises(ValueError, match="no blocks"):
        context.decode(b"\2\1", shape, 8)
