"""One tensor to stored bytes and back: quantise, code, digest."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import zstandard
from numpy.typing import NDArray

from ..errors import InvalidFile, LimitExceeded, UsageError
from ..limits import Limits
from .tensors import DTYPES, TensorSpec

ZSTD_LEVEL = 19
BLOCK = 1 << 20  # values in float64 at a time
Array = NDArray[Any]


@dataclass(frozen=True)
class Storage:
    """How to store one tensor.

    Attributes:
        bits: 2 to 8 for a uniform quantiser (float32 only), None to store values as they are.
        per_channel: one offset and scale for each index of axis 0.
        coder: raw or zstd.
        chunk: rows of axis 0 in a chunk, None for one piece.
    """

    bits: int | None = None
    per_channel: bool = False
    coder: str = "zstd"
    chunk: int | None = None


def quantise(
    x: NDArray[np.float32], bits: int, per_channel: bool = False
) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    """Return symbols, uint8 of the shape of ``x``, and the quantiser that gives the values back.

    The range from smallest to largest value is divided evenly into 2^bits levels; the error is at
    most half a level. Raises UsageError for values that are not finite or bits outside 2..8.
    """
    if not 2 <= bits <= 8:
        raise UsageError(f"a quantiser has 2 to 8 bits, not {bits}")
    if not np.isfinite(x).all():
        raise UsageError("cannot quantise values that are not finite")
    rows = x.reshape(len(x), -1) if per_channel else x.reshape(1, -1)
    low, high = rows.min(axis=1).astype(np.float64), rows.max(axis=1).astype(np.float64)
    levels = 2**bits - 1
    # Six digits cost few bytes in the manifest; the scale is rounded up so that all values fit.
    scale = [float(f"{max((h - lo) / levels, 1e-12) * 1.00001:.6g}")
             for lo, h in zip(low, high, strict=True)]  # fmt: skip
    offset = [short_offset(lo, step) for lo, step in zip(low, scale, strict=True)]
    columns = np.asarray(offset)[:, None], np.asarray(scale)[:, None]
    symbols = np.rint((rows.astype(np.float64) - columns[0]) / columns[1])
    spec = {"kind": "uniform", "bits": bits, "offset": offset, "scale": scale}
    return symbols.clip(0, levels).astype(np.uint8).reshape(x.shape), spec


def short_offset(low: float, scale: float) -> float:
    """Return ``low`` in as few digits, six or more, as keep it within a twentieth of a level."""
    digits = 6
    while abs(float(f"{low:.{digits}g}") - low) > scale / 20:
        digits += 1
    return float(f"{low:.{digits}g}")


def dequantise(symbols: NDArray[np.uint8], spec: dict[str, Any]) -> NDArray[np.float32]:
    """Return float32(float64(offset) + float64(scale) x symbol): the same bits on any machine."""
    scale = np.asarray(spec["scale"], dtype=np.float64)
    offset = np.asarray(spec["offset"], dtype=np.float64)
    values = np.empty(symbols.shape, dtype=np.float32)
    rows = len(scale)
    flat, out = symbols.reshape(rows, -1), values.reshape(rows, -1)
    for row in range(rows):
        for start in range(0, flat.shape[1], BLOCK):
            part = flat[row, start : start + BLOCK].astype(np.float64)
            out[row, start : start + BLOCK] = offset[row] + scale[row] * part
    return values


def encode_tensor(array: Array, storage: Storage) -> tuple[TensorSpec, list[Array], Array]:
    """Return a tensor's spec, its stored pieces (plain, or uint8 payloads), its decoded values."""
    array = np.ascontiguousarray(array)
    if array.dtype.name not in DTYPES:
        raise UsageError(f"dtype {array.dtype} cannot be stored; use one of {', '.join(DTYPES)}")
    quantiser = None
    stored = array
    if storage.bits is not None:
        stored, quantiser = quantise(array, storage.bits, storage.per_channel)
        array = dequantise(stored, quantiser)
    step = storage.chunk or len(stored)
    pieces = [stored[i : i + step] for i in range(0, len(stored), step)]
    if storage.coder == "zstd":
        compressor = zstandard.ZstdCompressor(level=ZSTD_LEVEL, write_content_size=True)
        pieces = [
            np.frombuffer(compressor.compress(little_endian(p)), dtype=np.uint8) for p in pieces
        ]
    digests = None
    if storage.chunk is not None:
        digests = tuple(digest(array[i : i + step]).hex() for i in range(0, len(array), step))
    spec = TensorSpec(
        array.dtype.name, array.shape, quantiser, storage.coder, storage.chunk, digests
    )
    return spec, pieces, array


def count_pieces(spec: TensorSpec) -> int:
    """Return in how many pieces a tensor is stored."""
    return 1 if spec.chunk is None else -(-spec.shape[0] // spec.chunk)


def rows_of(spec: TensorSpec, i: int) -> tuple[int, int]:
    """Return (begin, end), the indices of axis 0 in piece ``i``; raises IndexError."""
    if not 0 <= i < count_pieces(spec):
        raise IndexError(f"a tensor of {count_pieces(spec)} pieces has no piece {i}")
    step = spec.chunk or spec.shape[0]
    return i * step, min((i + 1) * step, spec.shape[0])


def decode_tensor(name: str, spec: TensorSpec, pieces: list[memoryview], limits: Limits) -> Array:
    """Return the array (native byte order) from its stored pieces.

    Raises InvalidFile for damaged payloads, symbols out of range and values that are not finite.
    """
    parts = [
        decode_piece(name, spec, piece, rows_of(spec, i), limits) for i, piece in enumerate(pieces)
    ]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def decode_piece(
    name: str, spec: TensorSpec, piece: memoryview, rows: tuple[int, int], limits: Limits
) -> Array:
    """Return indices ``rows`` (begin, end) of axis 0 of a tensor from the bytes stored for them."""
    begin, end = rows
    shape = (end - begin, *spec.shape[1:])
    stored_dtype = np.dtype("uint8" if spec.quantiser else spec.dtype).newbyteorder("<")
    size = math.prod(shape) * stored_dtype.itemsize
    raw = _decompress(name, piece, size, limits) if spec.coder == "zstd" else piece
    symbols = np.frombuffer(raw, dtype=stored_dtype).reshape(shape)
    if spec.quantiser is None:
        # A copy of its own: the bytes of a file are read-only, and torch warns of such arrays.
        array: Array = symbols.astype(symbols.dtype.newbyteorder("="))
    else:
        if int(symbols.max()) >= 2 ** int(spec.quantiser["bits"]):
            raise InvalidFile(f"tensor '{name}': a symbol is out of range", "DDS-E022")
        array = dequantise(symbols, _quantiser_of(spec.quantiser, begin, end))
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InvalidFile(f"tensor '{name}': a value is not finite", "DDS-E023")
    return array


def _quantiser_of(quantiser: dict[str, Any], begin: int, end: int) -> dict[str, Any]:
    if len(quantiser["scale"]) == 1:
        return quantiser
    return {**quantiser, **{key: quantiser[key][begin:end] for key in ("offset", "scale")}}


def digest(array: Array) -> bytes:
    """Return the SHA-256 of the values: little-endian, C order."""
    ordered = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    return hashlib.sha256(ordered.data).digest()  # hashed where they lie, without a copy


def little_endian(array: Array) -> bytes:
    """Return the bytes of an array in the file's byte order."""
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).tobytes()


def _decompress(name: str, frame: memoryview, size: int, limits: Limits) -> bytes:
    # The frame's own claims are checked before zstd allocates anything for it.
    def fail(why: str) -> InvalidFile:
        return InvalidFile(f"tensor '{name}': zstd frame: {why}", "DDS-E021")

    try:
        claims = zstandard.get_frame_parameters(frame)
    except zstandard.ZstdError:
        raise fail("damaged") from None
    if claims.content_size != size:
        raise fail(f"declares {claims.content_size} bytes where {size} belong")
    if claims.dict_id:
        raise fail("needs a dictionary")
    if claims.window_size > limits.zstd_window:
        raise LimitExceeded(
            f"tensor '{name}': zstd window of {claims.window_size} bytes, the limit is "
            f"{limits.zstd_window}",
            "DDS-E021",
        )
    try:
        decompressor = zstandard.ZstdDecompressor(max_window_size=limits.zstd_window)
        raw = decompressor.decompress(frame, allow_extra_data=False)
    except zstandard.ZstdError:
        raise fail("damaged, or followed by other data") from None
    if len(raw) != size:
        raise fail("has another length than it declares")
    return raw
