"""The header of a file: where every stored tensor lies, and the manifest. Read without the data."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import InvalidFile, LimitExceeded
from ..limits import Limits
from . import strict_json
from .manifest import Manifest, as_unsupported_if_later
from .payload import count_pieces, rows_of
from .rules import check_manifest
from .tensors import DTYPES, TensorSpec
from .values import is_integer, need, shown

TAGS = {"uint8": "U8", "int32": "I32", "int64": "I64", "float16": "F16", "float32": "F32"}
_SIZES = {"U8": 1, "I32": 4, "I64": 8, "F16": 2, "F32": 4}
_STORED_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}(\.(0|[1-9][0-9]{0,8}))?")


@dataclass(frozen=True)
class Sizes:
    """Bytes of a file: ``header`` (length field, safetensors header, padding), each tensor, all."""

    header: int
    tensors: dict[str, int]
    total: int


@dataclass(frozen=True)
class Entry:
    """One stored tensor: its safetensors dtype, shape, and place in the stored data."""

    tag: str
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True)
class Header:
    """A header that was checked; its manifest has the defaults filled in."""

    manifest: Manifest
    entries: dict[str, Entry]  # by stored name; places count from ``sizes.header``
    sizes: Sizes

    def pieces(self, name: str) -> list[Entry]:
        spec = self.manifest.tensors[name]
        return [self.entries[stored_name(name, spec, i)] for i in range(count_pieces(spec))]


def length_of(first: bytes | memoryview, total: int, limits: Limits) -> int:
    """Return the header's length, from the first 8 bytes of a file of ``total`` bytes."""
    if len(first) < 8:
        raise InvalidFile(f"{total} bytes cannot be a .ddset file", "DDS-E001")
    length = int.from_bytes(first[:8], "little")
    if not 2 <= length <= total - 8:
        raise InvalidFile("not a .ddset file, or one cut short in its header", "DDS-E002")
    if length > limits.header_bytes:
        raise LimitExceeded(
            f"header of {length} bytes, the limit is {limits.header_bytes}", "DDS-E002"
        )
    return length


def parse(raw: bytes, total: int, limits: Limits, streamed: bool = False) -> Header:
    """Parse and check a header without the eight bytes of its length, of a file of ``total`` bytes.

    ``limits.decoded_bytes`` bounds all tensors together, or, where ``streamed``, each stored piece.
    Raises InvalidFile, LimitExceeded where a rule is broken (``code``), Unsupported for a later
    version.
    """
    need(raw.startswith(b"{"), "header: does not begin with '{'", "DDS-E003")
    header = strict_json.loads(raw.rstrip(b" "), limits.nesting)
    metadata = header.pop("__metadata__", None)
    good = isinstance(metadata, dict) and set(metadata) == {"ddset"}
    need(good, "metadata: must hold the one key 'ddset'", "DDS-E005")
    text = metadata["ddset"]
    need(isinstance(text, str), "metadata: 'ddset' must be a string", "DDS-E005")
    if len(header) > limits.tensors:
        raise LimitExceeded(f"{len(header)} tensors, the limit is {limits.tensors}", "DDS-E040")
    entries = {name: _entry(name, value, limits) for name, value in header.items()}
    _check_layout(entries, total - 8 - len(raw))
    value = strict_json.loads(text.encode("utf-8"), limits.nesting)
    manifest = Manifest.from_json(value, limits)
    canonical = manifest.to_json() == text and build(entries, text)[8:] == raw
    need(canonical, "header: not in canonical form", "DDS-E004")
    check_sizes(manifest, limits, streamed)
    with as_unsupported_if_later(manifest.minor):
        _check_stored(entries, manifest)
        check_manifest(manifest, limits)
    whole = Header(manifest, entries, Sizes(8 + len(raw), {}, total))
    for name in manifest.tensors:
        whole.sizes.tensors[name] = sum(e.end - e.begin for e in whole.pieces(name))
    return whole


def build(entries: Mapping[str, Entry], manifest: str) -> bytes:
    """Return length and header in canonical form, padded so that the data begin aligned."""
    body: dict[str, Any] = {"__metadata__": {"ddset": manifest}}
    for name, e in entries.items():
        body[name] = {"dtype": e.tag, "shape": list(e.shape), "data_offsets": [e.begin, e.end]}
    text = strict_json.dumps(body).encode("utf-8")
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def stored_name(name: str, spec: TensorSpec, i: int) -> str:
    """Return the name under which piece ``i`` of a tensor is stored."""
    return name if spec.chunk is None else f"{name}.{i}"


def _entry(name: str, value: Any, limits: Limits) -> Entry:
    def must(condition: bool, why: str) -> None:
        need(condition, f"tensor {shown(name)}: {why}", "DDS-E006")

    good = bool(_STORED_NAME.fullmatch(name))
    need(good, f"tensor name {shown(name)} is not allowed", "DDS-E008")
    good = isinstance(value, dict) and set(value) == {"dtype", "shape", "data_offsets"}
    must(good, "needs dtype, shape and data_offsets, and nothing else")
    tag, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    must(isinstance(tag, str) and tag in _SIZES, "unknown dtype")
    good = isinstance(shape, list) and all(is_integer(s) and s > 0 for s in shape)
    must(good, "shape must be positive integers")
    if not 1 <= len(shape) <= limits.dimensions:
        raise LimitExceeded(f"tensor '{name}': {len(shape)} dimensions", "DDS-E040")
    good = isinstance(offsets, list) and len(offsets) == 2
    good = good and all(is_integer(o) and o >= 0 for o in offsets)
    must(good, "data_offsets must be two positions")
    fits = offsets[1] - offsets[0] == _SIZES[tag] * math.prod(shape)
    must(fits, "its bytes do not fit its shape")
    return Entry(tag, tuple(shape), offsets[0], offsets[1])


def _check_layout(entries: Mapping[str, Entry], size: int) -> None:
    position = 0
    for entry in sorted(entries.values(), key=lambda e: e.begin):
        need(entry.begin == position, "tensor data: an overlap or a hole", "DDS-E007")
        position = entry.end
    what = "cut short" if position > size else "followed by other bytes"
    need(position == size, f"tensor data: {what}", "DDS-E007")


def check_sizes(manifest: Manifest, limits: Limits, streamed: bool = False) -> None:
    """Raise LimitExceeded where tensors (or, if ``streamed``, pieces) decode to too many bytes."""
    total = 0
    for name, spec in manifest.tensors.items():
        rows = spec.chunk if streamed and spec.chunk is not None else spec.shape[0]
        size = DTYPES[spec.dtype] * rows * math.prod(spec.shape[1:])
        if size > limits.decoded_bytes:
            raise LimitExceeded(f"tensor '{name}': decodes to {size} bytes", "DDS-E040")
        if len(spec.digests or ()) > limits.tensors:
            raise LimitExceeded(f"tensor '{name}': too many chunks", "DDS-E040")
        total += size
    if total > limits.decoded_bytes and not streamed:
        raise LimitExceeded("the tensors decode to more than the limit", "DDS-E040")


def _check_stored(entries: Mapping[str, Entry], manifest: Manifest) -> None:
    expected: dict[str, tuple[str, tuple[int, ...]] | None] = {}
    for name, spec in manifest.tensors.items():
        tag = "U8" if spec.quantiser else TAGS[spec.dtype]
        for i in range(count_pieces(spec)):
            begin, end = rows_of(spec, i)
            plain = (tag, (end - begin, *spec.shape[1:]))
            expected[stored_name(name, spec, i)] = plain if spec.coder == "raw" else None
    if odd := sorted(set(expected) ^ set(entries)):
        raise InvalidFile(f"tensor {shown(odd[0])}: stored and listed tensors differ", "DDS-E013")
    for name, place in expected.items():
        entry = entries[name]
        as_bytes = entry.tag == "U8" and len(entry.shape) == 1
        fits = as_bytes if place is None else (entry.tag, entry.shape) == place
        need(fits, f"tensor '{name}': stored with another dtype or shape", "DDS-E013")
