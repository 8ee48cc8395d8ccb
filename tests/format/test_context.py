"""The coder ``context``: exact, strict, and smaller than zstd on pictures and small tables."""

from __future__ import annotations

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ddcodec.errors import InvalidFile, UsageError
from ddcodec.format import context
from ddcodec.format.context import prediction
from ddcodec.format.context.arithmetic import RangeDecoder, RangeEncoder
from ddcodec.format.payload import Storage, decode_tensor, encode_tensor
from ddcodec.limits import Limits


@st.composite
def symbols_of(draw: st.DrawFn, dims: int = 1) -> tuple[np.ndarray, int]:
    bits = draw(st.integers(1, 8))
    shape = draw(hnp.array_shapes(min_dims=dims, max_dims=4, max_side=7))
    return draw(hnp.arrays(np.uint8, shape, elements=st.integers(0, 2**bits - 1))), bits


def picture(bits: int, size: int = 40, channels: int = 3) -> np.ndarray:
    """Return a smooth picture with noise, uint8 (channels, size, size)."""
    random = np.random.default_rng(bits)
    y, x = np.mgrid[:size, :size] / size
    waves = np.stack([np.sin(5 * x + c) + np.cos(7 * y * (c + 1)) for c in range(channels)])
    noisy = waves + random.normal(0, 0.25, waves.shape)
    unit = (noisy - noisy.min()) / (noisy.max() - noisy.min())
    return np.rint(unit * (2**bits - 1)).astype(np.uint8)


@given(symbols_of())
def test_any_symbols_come_back(given: tuple[np.ndarray, int]) -> None:
    symbols, bits = given
    found = context.decode(context.encode(symbols, bits), symbols.shape, bits)
    assert found.dtype == np.uint8
    assert np.array_equal(found, symbols)


@given(symbols_of(dims=3))
def test_any_picture_comes_back_from_its_prediction(given: tuple[np.ndarray, int]) -> None:
    symbols, bits = given
    coder = RangeEncoder()
    head = prediction.encode(coder, symbols, bits)
    found = prediction.decode(RangeDecoder(coder.finish()), head, symbols.shape, bits)
    assert np.array_equal(found, symbols)


@given(
    st.lists(st.integers(0, 255), min_size=8, max_size=8),
    symbols_of(dims=3),
    st.binary(max_size=40),
)
def test_any_parameters_and_any_bytes_end_in_symbols_or_a_refusal(
    head: list[int], given: tuple[np.ndarray, int], code: bytes
) -> None:
    symbols, bits = given
    whole = bytes([1]) + bytes(head) * symbols.shape[-3] + code
    try:
        found = context.decode(whole, symbols.shape, bits)
    except ValueError:
        return
    assert int(found.max()) < 2**bits


@given(st.lists(st.integers(1, 2**16), min_size=1, max_size=200), st.data())
def test_the_range_coder_keeps_every_interval(counts: list[int], data: st.DataObject) -> None:
    intervals = []
    for count in counts:
        total = data.draw(st.integers(count, 2**17))
        intervals.append((data.draw(st.integers(0, total - count)), count, total))
    coder = RangeEncoder()
    for low, count, total in intervals:
        coder.encode(low, count, total)
    decoder = RangeDecoder(coder.finish())
    for low, count, total in intervals:
        assert low <= decoder.target(total) < low + count
        decoder.take(low, count)


def test_a_carry_runs_through_bytes_of_255() -> None:
    coder = RangeEncoder()
    total = 2**16
    for _ in range(40):  # the very top of the interval, so that bytes of 255 line up
        coder.encode(total - 1, 1, total)
    decoder = RangeDecoder(coder.finish())
    for _ in range(40):
        assert decoder.target(total) == total - 1
        decoder.take(total - 1, 1)


@pytest.mark.parametrize("bits", [8, 6, 5, 4, 3, 2])
def test_a_picture_is_smaller_than_with_zstd(bits: int) -> None:
    symbols = picture(bits)
    code = context.encode(symbols, bits)
    assert code[0] == context.PREDICTION
    assert len(code) < 0.9 * len(zstandard.ZstdCompressor(level=19).compress(symbols.tobytes()))


def test_a_small_table_is_smaller_than_with_zstd() -> None:
    random = np.random.default_rng(0)
    shares = random.dirichlet(np.full(10, 0.1), size=18)
    symbols = np.rint(shares * 255).astype(np.uint8)
    code = context.encode(symbols, 8)
    assert code[0] == context.COUNTS
    assert len(code) < 0.9 * len(zstandard.ZstdCompressor(level=19).compress(symbols.tobytes()))


def test_the_normal_distribution_is_that_of_the_specification() -> None:
    table = prediction._normal()
    assert len(table) == 257
    assert table[128] == 2**15
    assert (np.abs(table + table[::-1] - 2**16) <= 1).all()
    # 84.1345 % below one sigma, to what 1024 coins and 16 bits tell.
    assert abs(int(table[128 + 16]) / 2**16 - 0.841345) < 2e-4


def bad(code: bytes) -> str:
    symbols = picture(4, size=9)
    with pytest.raises(ValueError) as caught:
        context.decode(code, symbols.shape, 4)
    return str(caught.value)


def test_what_no_encoder_writes_is_refused() -> None:
    good = context.encode(picture(4, size=9), 4)
    assert bad(b"") == "unknown model"
    assert bad(b"\3" + good[1:]) == "unknown model"
    assert bad(b"\2" + good[1:]) == "frequencies of what has no blocks"
    assert bad(good[:12]) == "parameters are cut short"
    assert bad(good + b"\0") == "ends with a zero byte"
    assert bad(good + b"\1" * 9) == "followed by other data"
    assert bad(good[:1] + b"\x10" + good[2:]) == "a parameter is out of range"  # a mean of 16
    assert bad(good[:2] + b"\x60" + good[3:]) == "a parameter is out of range"  # a spread of 96
    with pytest.raises(ValueError, match="no picture"):
        context.decode(good, (9, 27), 4)


def test_a_bad_code_in_a_file_is_an_invalid_file() -> None:
    x = np.ones((2, 3, 4), np.float32)
    spec, pieces, _ = encode_tensor(x, Storage(bits=4))
    assert spec.coder == "context"
    with pytest.raises(InvalidFile, match="context code") as caught:
        decode_tensor("x", spec, [memoryview(b"\7" + pieces[0].tobytes())], Limits())
    assert caught.value.code == "DDS-E024"


def test_bytes_can_be_coded_and_floats_cannot() -> None:
    x = picture(8, size=16)
    spec, pieces, _ = encode_tensor(x, Storage(coder="context"))
    found = decode_tensor("x", spec, [memoryview(p.tobytes()) for p in pieces], Limits())
    assert np.array_equal(found, x)
    with pytest.raises(UsageError, match="8 bits"):
        encode_tensor(x.astype(np.float32), Storage(coder="context"))
