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
from .values import need

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
    coded = [_coded(piece, coder, storage) for piece in pieces]
    if coder in PICTURES:
        found = zip(coded, pieces, strict=True)
        array = np.concatenate([decode_picture("", c.data, p.shape, coder) for c, p in found])
    digests = None
    if storage.chunk is not None:
        parts = [array[i : i + step] for i in range(0, len(array), step)]
        digests = tuple(digest(p).hex() for p in (coded if coder in PICTURES else parts))
    spec = TensorSpec(array.dtype.name, array.shape, quantiser, coder, storage.chunk, digests)
    return spec, coded, array


def _coded(piece: Array, coder: str, storage: Storage) -> Array:
    if coder == "raw":
        return piece
    if coder == "context":
        if piece.dtype != np.uint8:
            raise UsageError(f"the coder context takes symbols of 8 bits, not {piece.dtype}")
        data = context.encode(piece, storage.bits or 8)
    elif coder in PICTURES:
        data = encode_picture(piece, coder, storage.quality)
    else:
        compressor = zstandard.ZstdCompressor(level=ZSTD_LEVEL, write_content_size=True)
        data = compressor.compress(little_endian(piece))
    return np.frombuffer(data, dtype=np.uint8)


def count_pieces(spec: TensorSpec) -> int:
    return 1 if spec.chunk is None else -(-spec.shape[0] // spec.chunk)


def rows_of(spec: TensorSpec, i: int) -> tuple[int, int]:
    """Return (begin, end), the indices of axis 0 in piece ``i``; raises IndexError."""
    if not 0 <= i < count_pieces(spec):
        raise IndexError(f"a tensor of {count_pieces(spec)} pieces has no piece {i}")
    step = spec.chunk or spec.shape[0]
    return i * step, min((i + 1) * step, spec.shape[0])


def decode_tensor(
    name: str, spec: TensorSpec, pieces: list[memoryview], limits: Limits, check: bool = False
) -> Array:
    """Return the array (native byte order) from its stored pieces (see ``decode_piece``)."""
    parts = [decode_piece(name, spec, i, piece, limits, check) for i, piece in enumerate(pieces)]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def decode_piece(
    name: str, spec: TensorSpec, i: int, stored: memoryview, limits: Limits, check: bool
) -> Array:
    """Return piece ``i`` of a tensor; ``check`` compares it with its digest, if it has one.

    Raises InvalidFile for damaged payloads, symbols out of range and values that are not finite.
    """

    expected = spec.digests[i] if check and spec.digests is not None else None

    def compare(found: bytes) -> None:
        same = found.hex() == expected
        need(same, f"tensor '{name}': the digest of chunk {i} does not match", "DDS-E031")

    begin, end = rows_of(spec, i)
    shape = (end - begin, *spec.shape[1:])
    if spec.coder in PICTURES:
        if expected is not None:  # before a decoder of pictures sees them
            compare(hashlib.sha256(stored).digest())
        return decode_picture(name, stored, shape, spec.coder)
    array = _decode_values(name, spec, stored, shape, limits)
    if spec.quantiser is None:
        # A copy of its own: the bytes of a file are read-only, and torch warns of such arrays.
        array = array.astype(array.dtype.newbyteorder("="))
    else:
        fits = int(array.max()) >> spec.quantiser["bits"] == 0
        need(fits, f"tensor '{name}': a symbol is out of range", "DDS-E022")
        array = dequantise(array, of_rows(spec.quantiser, begin, end))
    finite = array.dtype.kind != "f" or bool(np.isfinite(array).all())
    need(finite, f"tensor '{name}': a value is not finite", "DDS-E023")
    if expected is not None:
        compare(digest(array))
    return array


def _decode_values(
    name: str, spec: TensorSpec, stored: memoryview, shape: tuple[int, ...], limits: Limits
) -> Array:
    """Return the values, or the symbols of a quantiser, that a lossless coder stored."""
    if spec.coder == "context":
        try:
            return context.decode(stored, shape, spec.quantiser["bits"] if spec.quantiser else 8)
        except ValueError as error:
            raise InvalidFile(f"tensor '{name}': context code: {error}", "DDS-E024") from None
    dtype = np.dtype("uint8" if spec.quantiser else spec.dtype).newbyteorder("<")
    if spec.coder == "raw":
        return np.frombuffer(stored, dtype).reshape(shape)
    raw = _decompress(name, stored, math.prod(shape) * dtype.itemsize, limits)
    return np.frombuffer(raw, dtype).reshape(shape)


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
