"""Quantisers: uniform, with one scale or one for each channel, and square."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ddcodec.errors import UsageError
from ddcodec.format.quantise import dequantise, quantise

FLOATS = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=1, max_dims=4, max_side=6),
    elements=st.floats(-1e6, 1e6, width=32),
)


@given(FLOATS, st.integers(2, 8), st.booleans())
def test_the_error_of_a_uniform_quantiser_is_half_a_level(
    x: np.ndarray, bits: int, per_channel: bool
) -> None:
    symbols, spec = quantise(x, bits, per_channel=per_channel)
    assert symbols.dtype == np.uint8
    assert int(symbols.max()) < 2**bits
    scale = np.asarray(spec["scale"]).reshape((-1,) + (1,) * (x.ndim - 1))
    # The result is rounded to float32.
    slack = 2.0**-24 * (np.abs(x).max() + scale * 2**bits)
    assert (np.abs(dequantise(symbols, spec) - x) <= 0.501 * scale + slack).all()


@given(FLOATS.map(np.abs), st.integers(2, 8))
def test_a_square_quantiser_takes_the_nearest_of_its_levels(x: np.ndarray, bits: int) -> None:
    symbols, spec = quantise(x, bits, "square")
    levels = dequantise(np.arange(2**bits, dtype=np.uint8), spec)
    nearest = np.abs(x[..., None].astype(np.float64) - levels).min(axis=-1)
    error = np.abs(dequantise(symbols, spec).astype(np.float64) - x)
    assert (error <= nearest + 1e-5 * max(1.0, float(x.max()))).all()


def test_a_square_quantiser_is_fine_near_zero() -> None:
    x = np.linspace(0, 1, 1001, dtype=np.float32)
    squared, even = (
        np.abs(dequantise(*quantise(x, 4, kind)) - x)[:51].mean() for kind in ("square", "uniform")
    )
    assert squared < even / 2


@pytest.mark.parametrize("kind", ["uniform", "square"])
@pytest.mark.parametrize("value", [0.25, 100000.5, 1 / 3, 0.0])
def test_a_constant_tensor_is_kept(value: float, kind: str) -> None:
    x = np.full((2, 3), value, dtype=np.float32)
    found = dequantise(*quantise(x, 4, kind))
    assert np.allclose(found, x, rtol=1e-3, atol=1e-9)
    if kind == "uniform":
        assert np.array_equal(found, x)


@pytest.mark.parametrize(
    ("x", "arguments", "words"),
    [
        ([1.0], {"bits": 1}, "2 to 8 bits"),
        ([1.0], {"bits": 9}, "2 to 8 bits"),
        ([np.nan], {"bits": 8}, "finite"),
        ([1.0], {"bits": 8, "kind": "cubic"}, "unknown quantiser"),
        ([-1.0], {"bits": 8, "kind": "square"}, "0 and more"),
    ],
)
def test_what_cannot_be_quantised_is_said(
    x: list[float], arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        quantise(np.array(x, dtype=np.float32), **arguments)
