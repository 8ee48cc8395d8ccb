"""Quantise, code and decode one tensor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ddcodec import pack
from ddcodec.errors import InvalidFile, LimitExceeded, UsageError
from ddcodec.format import read
from ddcodec.format.payload import Storage, count_pieces, decode_tensor, digest, encode_tensor
from ddcodec.format.tensors import TensorSpec
from ddcodec.limits import Limits

FLOATS = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=1, max_dims=4, max_side=6),
    elements=st.floats(-1e6, 1e6, width=32),
)


@given(
    FLOATS,
    st.sampled_from([None, 2, 5, 8]),
    st.booleans(),
    st.sampled_from(["raw", "zstd", None]),
    st.sampled_from([None, 1, 2, 4]),
)
def test_a_tensor_comes_back_as_its_digest_says(
    x: np.ndarray, bits: int | None, per_channel: bool, coder: str | None, chunk: int | None
) -> None:
    chunk = None if chunk is None else min(chunk, len(x))
    spec, pieces, values = encode_tensor(x, Storage(bits, per_channel, coder, chunk))
    assert len(pieces) == count_pieces(spec) == -(-len(x) // (chunk or len(x)))
    found = decode_tensor("x", spec, [memoryview(p.tobytes()) for p in pieces], Limits())
    assert found.shape == x.shape
    assert found.dtype == np.float32
    assert digest(found) == digest(values)
    if bits is None:
        assert np.array_equal(found, x)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64", "float16", "float32"])
def test_every_dtype_is_stored_exactly(dtype: str) -> None:
    x = np.arange(24).reshape(2, 3, 4).astype(dtype)
    spec, pieces, _ = encode_tensor(x, Storage())
    found = decode_tensor("x", spec, [memoryview(p.tobytes()) for p in pieces], Limits())
    assert found.dtype == x.dtype
    assert np.array_equal(found, x)


@pytest.mark.parametrize(
    ("array", "storage", "words"),
    [
        (np.zeros(3), Storage(), "float64"),
        (np.array([np.nan], dtype=np.float32), Storage(bits=8), "not finite"),
        (np.zeros(3, dtype=np.float32), Storage(bits=1), "2 to 8"),
        (np.zeros(3, dtype=np.float32), Storage(bits=9), "2 to 8"),
    ],
)
def test_the_writer_refuses_what_it_cannot_keep(
    array: np.ndarray, storage: Storage, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        encode_tensor(array, storage)


def frame(data: bytes, **settings: Any) -> bytes:
    return zstandard.ZstdCompressor(**settings).compress(data)


DATA = bytes(range(64))
WIDE = zstandard.ZstdCompressionParameters(window_log=27, write_content_size=True)


def no_size() -> bytes:
    maker = zstandard.ZstdCompressor(write_content_size=False).compressobj()
    return maker.compress(DATA) + maker.flush()


def forged_size() -> bytes:
    whole = bytearray(frame(bytes(300)))
    at = whole.index((300 - 256).to_bytes(2, "little"), 4)
    whole[at : at + 2] = (65_000).to_bytes(2, "little")
    return bytes(whole)


def named_dictionary() -> bytes:
    whole = frame(DATA)
    assert whole[4] == 0x20  # one segment, no dictionary, one byte of size
    return whole[:4] + b"\x21\x07" + whole[5:]


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"", "damaged"),
        (DATA, "damaged"),
        (frame(DATA)[:-1], "damaged"),
        (frame(DATA) + b"\0", "other data"),
        (frame(DATA) + frame(DATA), "other data"),
        (b"\x50\x2a\x4d\x18\x00\x00\x00\x00" + frame(DATA), "bytes where 64 belong"),
        (frame(DATA * 2), "declares 128 bytes where 64 belong"),
        (frame(bytes(2**28)), "declares 268435456 bytes where 64 belong"),
        (forged_size(), "belong"),
        (no_size(), "belong"),
        (named_dictionary(), "dictionary"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_zstd_trap_is_refused_before_it_springs(payload: bytes, words: str) -> None:
    spec = TensorSpec("uint8", (64,), None, "zstd")
    with pytest.raises(InvalidFile, match=words) as caught:
        decode_tensor("x", spec, [memoryview(payload)], Limits())
    assert caught.value.code == "DDS-E021"


def test_a_large_window_is_beyond_the_limit() -> None:
    size = 16 << 20
    data = np.random.default_rng(0).bytes(1 << 20) * 16
    payload = zstandard.ZstdCompressor(compression_params=WIDE).compress(data)
    spec = TensorSpec("uint8", (size,), None, "zstd")
    with pytest.raises(LimitExceeded, match="window"):
        decode_tensor("x", spec, [memoryview(payload)], Limits())


def test_a_symbol_out_of_range_and_a_value_that_is_not_finite_are_refused() -> None:
    quantiser = {"kind": "uniform", "bits": 2, "offset": [0.0], "scale": [1.0]}
    spec = TensorSpec("float32", (4,), quantiser, "raw")
    with pytest.raises(InvalidFile, match="symbol") as caught:
        decode_tensor("x", spec, [memoryview(b"\0\1\2\4")], Limits())
    assert caught.value.code == "DDS-E022"
    spec = TensorSpec("float32", (1,), None, "raw")
    payload = np.array([np.inf], dtype="<f4").tobytes()
    with pytest.raises(InvalidFile, match="finite") as caught:
        decode_tensor("x", spec, [memoryview(payload)], Limits())
    assert caught.value.code == "DDS-E023"


@pytest.mark.parametrize("bits", [None, 8])
@pytest.mark.parametrize("coder", ["raw", "zstd", None])
def test_decoded_arrays_may_be_written_to(bits: int | None, coder: str) -> None:
    spec, pieces, _ = encode_tensor(np.ones(4, np.float32), Storage(bits=bits, coder=coder))
    found = decode_tensor("x", spec, [memoryview(pieces[0].tobytes())], Limits())
    assert found.flags.writeable


def test_packed_images_far_from_zero_keep_their_values(tmp_path: Path) -> None:
    x = np.linspace(100000.5, 100001.5, 2 * 16, dtype=np.float32).reshape(2, 1, 4, 4)
    pack(x, np.array([0, 1]), ["a", "b"], tmp_path / "x.ddset", bits=8)
    found = read(tmp_path / "x.ddset").arrays["images"]
    assert np.abs(found - x).max() < 0.01
