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
from . import context
from .pictures import decode_picture, encode_picture
from .quantise import Quantised, dequantise, of_rows, quantise
from .tensors import DTYPES, PICTURES, TensorSpec

ZSTD_LEVEL = 19
CODED = 1 << 21  # symbols of a tensor; beyond, the coder context would take seconds to decode
Array = NDArray[Any]


@dataclass(frozen=True)
class Storage:
    """How to store one tensor.

    Attributes:
        bits: 2 to 8 for a quantiser (float32 only), None to store values as they are.
        per_channel: one offset and scale for each index of axis 0.
        coder: raw, zstd, webp or avif (8-bit images in chunks, at ``quality``), context (symbols
            of 8 bits and fewer), or None: context where there is a quantiser and the tensor is not
            too large for it, else zstd.
        chunk: rows of axis 0 in a chunk, None for one piece.
        kind: uniform or square (see ``quantise``).
        quality: 0 to 100, of webp and avif.
        coarse: factor, 1 or more, on the levels of a uniform quantiser; 1 uses all its symbols.
    """

    bits: int | None = None
    per_channel: bool = False
    coder: str | None = None
    chunk: int | None = None
    kind: str = "uniform"
    coarse: float = 1.0
    quality: int = 80


def quantise_as(array: NDArray[np.float32], storage: Storage) -> Quantised:
    """Return the symbols and the quantiser of values that are stored in some way."""
    if storage.bits is None:
        raise UsageError("values that are stored as they are have no symbols")
    kind, per_channel, coarse = storage.kind, storage.per_channel, storage.coarse
    return quantise(array, storage.bits, kind, per_channel=per_channel, coarse=coarse)


def encode_tensor(array: Array, storage: Storage) -> tuple[TensorSpec, list[Array], Array]:
    """Return a tensor's spec, its stored pieces (plain, or uint8 payloads), its decoded values."""
    array = np.ascontiguousarray(array)
    if array.dtype.name not in DTYPES:
        raise UsageError(f"dtype {array.dtype} cannot be stored; use one of {', '.join(DTYPES)}")
    quantiser = None
    stored = array
    if storage.bits is not None:
        stored, quantiser = quantise_as(array, storage)
        array = dequantise(stored, quantiser)
    coder = storage.coder or ("context" if quantiser and stored.size <= CODED else "zstd")
    step = storage.chunk or len(stored)
    pieces = [stored[i : i + step] for i in range(0, len(stored), step)]
    if coder == "context":
        if stored.dtype != np.uint8:
            raise UsageError(f"the coder context takes symbols of 8 bits, not {stored.dtype}")
        bits = storage.bits or 8
        pieces = [np.frombuffer(context.encode(p, bits), dtype=np.uint8) for p in pieces]
    elif coder in PICTURES:
        coded = [encode_picture(p, coder, storage.quality) for p in pieces]
        array = np.concatenate(
            [
                decode_picture("", data, piece.shape, coder)
                for data, piece in zip(coded, pieces, strict=True)
            ]
        )
        pieces = [np.frombuffer(data, dtype=np.uint8) for data in coded]
    elif coder == "zstd":
        compressor = zstandard.ZstdCompressor(level=ZSTD_LEVEL, write_content_size=True)
        pieces = [
            np.frombuffer(compressor.compress(little_endian(p)), dtype=np.uint8) for p in pieces
        ]
    digests = None
    if storage.chunk is not None:
        parts = [array[i : i + step] for i in range(0, len(array), step)]
        digests = tuple(digest(p).hex() for p in (pieces if coder in PICTURES else parts))
    spec = TensorSpec(array.dtype.name, array.shape, quantiser, coder, storage.chunk, digests)
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
    if spec.coder in PICTURES:
        return decode_picture(name, piece, shape, spec.coder)
    if spec.coder == "context":
        symbols: Array = _decode_context(name, spec, piece, shape)
    else:
        raw = _decompress(name, piece, size, limits) if spec.coder == "zstd" else piece
        symbols = np.frombuffer(raw, dtype=stored_dtype).reshape(shape)
    if spec.quantiser is None:
        # A copy of its own: the bytes of a file are read-only, and torch warns of such arrays.
        array: Array = symbols.astype(symbols.dtype.newbyteorder("="))
    else:
        if int(symbols.max()) >> spec.quantiser["bits"]:
            raise InvalidFile(f"tensor '{name}': a symbol is out of range", "DDS-E022")
        array = dequantise(symbols, of_rows(spec.quantiser, begin, end))
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InvalidFile(f"tensor '{name}': a value is not finite", "DDS-E023")
    return array


def _decode_context(
    name: str, spec: TensorSpec, piece: memoryview, shape: tuple[int, ...]
) -> NDArray[np.uint8]:
    bits = int(spec.quantiser["bits"]) if spec.quantiser else 8
    try:
        return context.decode(piece, shape, bits)
    except ValueError as error:
        raise InvalidFile(f"tensor '{name}': context code: {error}", "DDS-E024") from None


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
