"""The container: a strict subset of safetensors with one metadata key, read and written here."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ..errors import DDSetError, InvalidFile
from ..limits import Limits
from ..runtime.atomic import write_atomically
from .chunks import read_header
from .header import TAGS, Entry, Header, Sizes, build, length_of, parse
from .manifest import Manifest
from .opening import load, read_stream, reading
from .payload import Array, Storage, decode_tensor, digest, encode_tensor, little_endian
from .rules import check_values
from .tensors import TensorSpec
from .values import need


@dataclass(frozen=True)
class DDSetFile:
    """A file that was read: its manifest, its decoded arrays by name, and its sizes."""

    manifest: Manifest
    arrays: dict[str, NDArray[Any]]
    sizes: Sizes


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
    write_bytes(path, data)
    return complete


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write the bytes of a file atomically, which are read first; raises as ``write``."""
    write_atomically(Path(path), data, validate=read)


def to_bytes(
    manifest: Manifest, arrays: Mapping[str, Array], storage: Mapping[str, Storage]
) -> tuple[bytes, Manifest]:
    """Return the bytes of a file and its complete manifest."""
    specs: dict[str, TensorSpec] = {}
    stored: dict[str, Array] = {}
    digests: dict[str, bytes] = {}
    for name in sorted(arrays):
        specs[name], pieces, values = encode_tensor(arrays[name], storage.get(name, Storage()))
        if specs[name].digests is None:
            digests[name] = digest(values)
        named = specs[name].chunk is not None
        stored |= {f"{name}.{i}" if named else name: piece for i, piece in enumerate(pieces)}
    # Widest values first keeps every tensor aligned, as the official writer does.
    order = sorted(stored, key=lambda n: (-stored[n].dtype.itemsize, n))
    body = b"".join(little_endian(stored[name]) for name in order)
    manifest = replace(manifest, tensors=specs).sealed(digests, data_digest(body))
    entries, position = {}, 0
    for name in order:
        piece, end = stored[name], position + stored[name].nbytes
        entries[name] = Entry(TAGS[piece.dtype.name], piece.shape, position, end)
        position = end
    return build(entries, manifest.to_json()) + body, manifest


def restate(path: str | os.PathLike[str], **changes: Any) -> Manifest:
    """Change fields of a file's manifest, atomically, and return the new one.

    The stored data stay as they are; the content digest follows the manifest. Raises whatever
    ``read`` raises, InvalidFile also for changes that no file may hold.
    """
    data = load(Path(path), Limits())
    file = read(data)
    header = _header_of(memoryview(data), Limits())
    manifest = replace(header.manifest, **changes)
    digests = {name: digest(file.arrays[name]) for name in manifest.in_one_piece()}
    manifest = manifest.sealed(digests, manifest.data_digest)
    whole = build(header.entries, manifest.to_json()) + data[header.sizes.header :]
    write_bytes(path, whole)
    return manifest


def read_named(path: Path) -> DDSetFile:
    """Return ``read(path)``; every error names the file, for where there is more than one."""
    try:
        return read(path)
    except DDSetError as problem:
        if str(path) not in str(problem):
            problem.args = (f"{path}: {problem}",)
        raise


def read(
    source: str | os.PathLike[str] | bytes,
    check: bool = True,
    limits: Limits = Limits(),
) -> DDSetFile:
    """Read and check a whole file, ``source`` a path or the bytes themselves.

    ``check`` verifies every digest. Without it damage may go unseen; everything that protects
    memory and process is still checked, caps before anything is allocated. Raises InvalidFile,
    LimitExceeded where the bytes break a rule (``code``), Unsupported for a later version,
    SourceError where the file cannot be opened.
    """
    data = memoryview(source if isinstance(source, bytes) else load(Path(source), limits))
    header = _header_of(data, limits)
    manifest, body = header.manifest, data[header.sizes.header :]
    if check:
        same = data_digest(body) == manifest.data_digest
        need(same, "tensor data: the digest does not match", "DDS-E030")
    arrays = {}
    for name, spec in manifest.tensors.items():
        pieces = [body[entry.begin : entry.end] for entry in header.pieces(name)]
        arrays[name] = decode_tensor(name, spec, pieces, limits, check)
    if check:
        manifest.check_content({name: digest(arrays[name]) for name in manifest.in_one_piece()})
    check_values(manifest, arrays)
    return DDSetFile(manifest, arrays, header.sizes)


def read_manifest(
    path: str | os.PathLike[str], limits: Limits = Limits()
) -> tuple[Manifest, Sizes]:
    """Return manifest and sizes; the data are not read and no digest is checked."""
    with reading(Path(path)), Path(path).open("rb") as file:
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):  # a pipe has no positions
            header = read_header(file, limits, streamed=True)
        else:
            header = _header_of(memoryview(read_stream(file, limits)), limits)
    return header.manifest, header.sizes


def data_digest(body: bytes | memoryview) -> str:
    """Return 16 hex digits over the stored data: they find damage that decodes to equal values."""
    return hashlib.sha256(body).hexdigest()[:16]


def _header_of(data: memoryview, limits: Limits) -> Header:
    if len(data) > limits.file_bytes:
        raise InvalidFile(f"{len(data)} bytes cannot be a .ddset file", "DDS-E001")
    length = length_of(data[:8], len(data), limits)
    return parse(bytes(data[8 : 8 + length]), len(data), limits)
