"""The container: a strict subset of safetensors with one metadata key, read and written here."""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ..errors import InvalidFile, LimitExceeded, SourceError
from ..limits import Limits
from . import strict_json
from .atomic import write_atomically
from .manifest import Manifest, TensorSpec, shown
from .payload import (
    Array,
    Storage,
    decode_tensor,
    digest,
    encode_tensor,
    little_endian,
    piece_shapes,
)
from .rules import check_manifest, check_values

_TAGS = {"uint8": "U8", "int32": "I32", "int64": "I64", "float16": "F16", "float32": "F32"}
_SIZES = {"U8": 1, "I32": 4, "I64": 8, "F16": 2, "F32": 4}
_STORED_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}(\.(0|[1-9][0-9]{0,8}))?")


@dataclass(frozen=True)
class Sizes:
    """Bytes of a file: ``header`` (length field, safetensors header, padding), each tensor, all."""

    header: int
    tensors: dict[str, int]
    total: int


@dataclass(frozen=True)
class DDSetFile:
    """A file that was read: its manifest, its decoded arrays by name, and its sizes."""

    manifest: Manifest
    arrays: dict[str, NDArray[Any]]
    sizes: Sizes


@dataclass(frozen=True)
class _Entry:
    tag: str
    shape: tuple[int, ...]
    begin: int
    end: int


def write(
    path: str | os.PathLike[str],
    manifest: Manifest,
    arrays: Mapping[str, Array],
    storage: Mapping[str, Storage],
) -> Manifest:
    """Write a file atomically and return the manifest with tensors and digests filled in.

    Equal arguments give equal bytes (with one version of zstd). Raises OutputError where the file
    cannot be written; whatever was there is then unchanged.
    """
    data, complete = to_bytes(manifest, arrays, storage)

    def validate(temporary: Path) -> None:
        read(temporary)

    write_atomically(Path(path), data, validate)
    return complete


def to_bytes(
    manifest: Manifest, arrays: Mapping[str, Array], storage: Mapping[str, Storage]
) -> tuple[bytes, Manifest]:
    """Return the bytes of a file and its complete manifest."""
    specs: dict[str, TensorSpec] = {}
    stored: dict[str, Array] = {}
    digests: dict[str, bytes] = {}
    for name in sorted(arrays):
        specs[name], pieces, digests[name] = encode_tensor(
            arrays[name], storage.get(name, Storage())
        )
        named = specs[name].chunk is not None
        stored |= {f"{name}.{i}" if named else name: piece for i, piece in enumerate(pieces)}
    # Widest values first keeps every tensor aligned, as the official writer does.
    order = sorted(stored, key=lambda n: (-stored[n].dtype.itemsize, n))
    body = b"".join(little_endian(stored[name]) for name in order)
    manifest = replace(manifest, tensors=specs)
    manifest = manifest.with_digests(manifest.content(digests), data_digest(body))
    entries, position = {}, 0
    for name in order:
        end = position + stored[name].nbytes
        tag = _TAGS[stored[name].dtype.name]
        entries[name] = _Entry(tag, stored[name].shape, position, end)
        position = end
    header = _header(entries, manifest.to_json())
    return len(header).to_bytes(8, "little") + header + body, manifest


def restate(path: str | os.PathLike[str], **changes: Any) -> Manifest:
    """Change fields of a file's manifest, atomically, and return the new one.

    The stored data stay as they are; the content digest follows the manifest. Raises whatever
    ``read`` raises, InvalidFile also for changes that no file may hold.
    """
    data = _load(Path(path), Limits())
    file = read(data)
    end, entries, manifest = _parse(memoryview(data), Limits())
    digests = {name: digest(array) for name, array in file.arrays.items()}
    manifest = replace(manifest, **changes)
    manifest = manifest.with_digests(manifest.content(digests), manifest.data_digest)
    header = _header(entries, manifest.to_json())

    def validate(temporary: Path) -> None:
        read(temporary)

    whole = len(header).to_bytes(8, "little") + header + data[end:]
    write_atomically(Path(path), whole, validate)
    return manifest


def read(
    source: str | os.PathLike[str] | bytes,
    check: bool = True,
    limits: Limits = Limits(),
) -> DDSetFile:
    """Read and check a whole file.

    Args:
        source: a path, or the bytes themselves.
        check: verify every digest. Without it damage may go unseen; everything
            that protects memory and process is still checked.
        limits: caps applied before anything is allocated.

    Raises:
        InvalidFile, LimitExceeded: the bytes break a rule (``code``). Unsupported: a later
        version. SourceError: the file cannot be opened.
    """
    data = memoryview(source if isinstance(source, bytes) else _load(Path(source), limits))
    header_end, entries, manifest = _parse(data, limits)
    body = data[header_end:]
    if check and data_digest(body) != manifest.data_digest:
        raise InvalidFile("tensor data: the digest does not match", "DDS-E030")
    arrays = {}
    for name, spec in manifest.tensors.items():
        pieces = [body[entries[n].begin : entries[n].end] for n in _stored_names(name, spec)]
        arrays[name] = decode_tensor(name, spec, pieces, limits)
    if check:
        _check_digests(manifest, arrays)
    check_values(manifest, arrays)
    return DDSetFile(manifest, arrays, _sizes(data, header_end, entries, manifest))


def read_manifest(
    path: str | os.PathLike[str], limits: Limits = Limits()
) -> tuple[Manifest, Sizes]:
    """Return manifest and sizes; tensors are not decoded and no digest is checked."""
    data = memoryview(_load(Path(path), limits))
    header_end, entries, manifest = _parse(data, limits)
    return manifest, _sizes(data, header_end, entries, manifest)


def data_digest(body: bytes | memoryview) -> str:
    """Return 16 hex digits over the stored data: they find damage that decodes to equal values."""
    return hashlib.sha256(body).hexdigest()[:16]


def _check_digests(manifest: Manifest, arrays: Mapping[str, Array]) -> None:
    for name, spec in manifest.tensors.items():
        if spec.digests is not None:
            assert spec.chunk is not None
            for i, expected in enumerate(spec.digests):
                rows = arrays[name][i * spec.chunk : (i + 1) * spec.chunk]
                if digest(rows).hex() != expected:
                    raise InvalidFile(
                        f"tensor '{name}': the digest of chunk {i} does not match", "DDS-E031"
                    )
    found = manifest.content({name: digest(array) for name, array in arrays.items()})
    if found != manifest.content_digest:
        raise InvalidFile("the content digest does not match manifest and tensors", "DDS-E032")


def _load(path: Path, limits: Limits) -> bytes:
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > limits.file_bytes:
                raise LimitExceeded(
                    f"{path}: {size} bytes, the limit is {limits.file_bytes}", "DDS-E001"
                )
            return file.read(limits.file_bytes + 1)
    except FileNotFoundError:
        raise SourceError(f"{path}: no such file") from None
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from None


def _parse(data: memoryview, limits: Limits) -> tuple[int, dict[str, _Entry], Manifest]:
    if len(data) < 8 or len(data) > limits.file_bytes:
        raise InvalidFile(f"{len(data)} bytes cannot be a .ddset file", "DDS-E001")
    length = int.from_bytes(data[:8], "little")
    if not 2 <= length <= len(data) - 8:
        raise InvalidFile("not a .ddset file, or one cut short in its header", "DDS-E002")
    if length > limits.header_bytes:
        raise LimitExceeded(
            f"header of {length} bytes, the limit is {limits.header_bytes}", "DDS-E002"
        )
    raw = bytes(data[8 : 8 + length])
    if not raw.startswith(b"{"):
        raise InvalidFile("header: does not begin with '{'", "DDS-E003")
    header = strict_json.loads(raw.rstrip(b" "), limits.nesting)
    if not isinstance(header, dict):
        raise InvalidFile("header: not a JSON object", "DDS-E003")
    metadata = header.pop("__metadata__", None)
    if not isinstance(metadata, dict) or set(metadata) != {"ddset"}:
        raise InvalidFile("metadata: must hold the one key 'ddset'", "DDS-E005")
    if not isinstance(metadata["ddset"], str):
        raise InvalidFile("metadata: 'ddset' must be a string", "DDS-E005")
    if len(header) > limits.tensors:
        raise LimitExceeded(f"{len(header)} tensors, the limit is {limits.tensors}", "DDS-E040")
    entries = {name: _entry(name, value, limits) for name, value in header.items()}
    body_size = len(data) - 8 - length
    _check_layout(entries, body_size)
    text = metadata["ddset"]
    value = strict_json.loads(text.encode("utf-8"), limits.nesting)
    manifest = Manifest.from_json(value, limits)
    if manifest.to_json() != text or _header(entries, text) != raw:
        raise InvalidFile("header: not in canonical form", "DDS-E004")
    _check_stored(entries, manifest, limits)
    check_manifest(manifest, limits)
    return 8 + length, entries, manifest


def _header(entries: Mapping[str, _Entry], manifest: str) -> bytes:
    body: dict[str, Any] = {"__metadata__": {"ddset": manifest}}
    for name, e in entries.items():
        body[name] = {"dtype": e.tag, "shape": list(e.shape), "data_offsets": [e.begin, e.end]}
    text = strict_json.dumps(body).encode("utf-8")
    return text + b" " * (-len(text) % 8)  # the data begins on a multiple of eight bytes


def _entry(name: str, value: Any, limits: Limits) -> _Entry:
    def fail(why: str) -> InvalidFile:
        return InvalidFile(f"tensor {shown(name)}: {why}", "DDS-E006")

    if not _STORED_NAME.fullmatch(name):
        raise InvalidFile(f"tensor name {shown(name)} is not allowed", "DDS-E008")
    if not isinstance(value, dict) or set(value) != {"dtype", "shape", "data_offsets"}:
        raise fail("needs dtype, shape and data_offsets, and nothing else")
    tag, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(tag, str) or tag not in _SIZES:
        raise fail("unknown dtype")
    if not isinstance(shape, list) or not all(type(s) is int and s > 0 for s in shape):
        raise fail("shape must be positive integers")
    if not 1 <= len(shape) <= limits.dimensions:
        raise LimitExceeded(f"tensor '{name}': {len(shape)} dimensions", "DDS-E040")
    if (
        not isinstance(offsets, list)
        or len(offsets) != 2
        or not all(type(o) is int and o >= 0 for o in offsets)
    ):
        raise fail("data_offsets must be two positions")
    if offsets[1] - offsets[0] != _SIZES[tag] * math.prod(shape):
        raise fail("its bytes do not fit its shape")
    return _Entry(tag, tuple(shape), offsets[0], offsets[1])


def _check_layout(entries: Mapping[str, _Entry], size: int) -> None:
    position = 0
    for entry in sorted(entries.values(), key=lambda e: e.begin):
        if entry.begin != position:
            raise InvalidFile("tensor data: an overlap or a hole", "DDS-E007")
        position = entry.end
    if position != size:
        what = "cut short" if position > size else "followed by other bytes"
        raise InvalidFile(f"tensor data: {what}", "DDS-E007")


def _stored_names(name: str, spec: TensorSpec) -> list[str]:
    if spec.chunk is None:
        return [name]
    return [f"{name}.{i}" for i in range(-(-spec.shape[0] // spec.chunk))]


def _check_stored(entries: Mapping[str, _Entry], manifest: Manifest, limits: Limits) -> None:
    expected: dict[str, tuple[str, tuple[int, ...]] | None] = {}
    decoded = 0
    for name, spec in manifest.tensors.items():
        decoded += math.prod(spec.shape) * 8
        if spec.chunk is not None and -(-spec.shape[0] // spec.chunk) > limits.tensors:
            raise LimitExceeded(f"tensor '{name}': too many chunks", "DDS-E040")
        tag = "U8" if spec.quantiser else _TAGS[spec.dtype]
        coded = spec.coder == "zstd"
        shapes = piece_shapes(spec)
        for stored, shape in zip(_stored_names(name, spec), shapes, strict=True):
            expected[stored] = None if coded else (tag, shape)
    if decoded > 8 * limits.decoded_bytes:
        raise LimitExceeded("the tensors decode to more than the limit", "DDS-E040")
    if set(expected) != set(entries):
        odd = sorted(set(expected) ^ set(entries))[0]
        raise InvalidFile(f"tensor {shown(odd)}: stored and listed tensors differ", "DDS-E013")
    for name, plain in expected.items():
        entry = entries[name]
        fits = (
            (entry.tag, entry.shape) == plain
            if plain is not None
            else entry.tag == "U8" and len(entry.shape) == 1
        )
        if not fits:
            raise InvalidFile(f"tensor '{name}': stored with another dtype or shape", "DDS-E013")


def _sizes(
    data: memoryview, header_end: int, entries: Mapping[str, _Entry], manifest: Manifest
) -> Sizes:
    tensors = {
        name: sum(entries[n].end - entries[n].begin for n in _stored_names(name, spec))
        for name, spec in manifest.tensors.items()
    }
    return Sizes(header_end, tensors, len(data))
