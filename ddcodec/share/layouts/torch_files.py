"""Tensors out of a ``torch.save``, without torch and without running any of it.

Such a file is a zip archive of a pickle and the raw numbers of its storages, or, as torch wrote
before 1.6, five things in a row: three pickles of who wrote it, the object, a list of storages.
The pickle is read by ``sources.pickles``, which follows a few instructions and calls nothing.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidFile, LimitExceeded
from ...format.opening import load, reading
from ...limits import Limits
from ...sources import pickles

STORAGES = {
    "FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2", "BFloat16Storage": "<u2",
    "LongStorage": "<i8", "IntStorage": "<i4", "ShortStorage": "<i2", "CharStorage": "<i1",
    "ByteStorage": "<u1", "BoolStorage": "<b1",
}  # fmt: skip
HALF = "BFloat16Storage"  # the upper 16 bits of a float32
ZIP = b"PK\x03\x04"
MAGIC = 0x1950A86A20F9469CFC6C  # of a file before 1.6
PICKLE_BYTES = 64 << 20  # of the pickle itself, which has no numbers of tensors in it
DEPTH = 8  # of containers around tensors; published files have three
UNREADABLE = (OSError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class _Storage:
    kind: str
    key: str
    count: int


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def is_torch(path: Path) -> bool:
    """Say whether a file begins as ``torch.save`` begins one."""
    with path.open("rb") as file:
        start = file.read(16)
    if start[:4] == ZIP:
        try:
            with zipfile.ZipFile(path) as archive:
                return any(name.endswith("/data.pkl") for name in archive.namelist())
        except UNREADABLE:
            return False
    # A pickle of protocol 2 or later; whether it is one of torch is seen when it is read.
    return start[:1] == b"\x80"


def read(path: Path, limits: Limits = Limits()) -> Any:
    """Return what a ``torch.save`` holds: tensors as arrays in dicts, lists and plain values.

    bfloat16 becomes float32. Raises InvalidFile for a file that is damaged or holds anything else
    than plain data, LimitExceeded where it is larger than ``limits`` allow, SourceError where it
    cannot be opened.
    """
    with reading(path), path.open("rb") as file:
        zipped = file.read(4) == ZIP
    try:
        return _of_archive(path, limits) if zipped else _of_stream(load(path, limits), limits)
    except pickles.Refused as error:
        raise InvalidFile(f"{path}: {error}; nothing of it was run") from None
    except UNREADABLE:
        raise InvalidFile(f"{path}: is damaged; fetch it again") from None
    except ValueError as error:
        raise InvalidFile(f"{path}: {error}") from None


def _of_archive(path: Path, limits: Limits) -> Any:
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(names) != 1:
            raise pickles.Refused("holds no data.pkl; is it a torch.save?")
        folder = names[0].removesuffix("data.pkl")
        if archive.getinfo(names[0]).file_size > PICKLE_BYTES:
            raise LimitExceeded(f"{path}: a pickle of more than {PICKLE_BYTES:,} bytes")
        order = f"{folder}byteorder"
        big = order in archive.namelist() and archive.read(order)[:3] == b"big"

        def raw(storage: _Storage) -> bytes:
            member = archive.getinfo(f"{folder}data/{storage.key}")
            size = storage.count * np.dtype(STORAGES[storage.kind]).itemsize
            # Checked before it is unpacked: a packed member may claim anything.
            if member.file_size != size:
                raise pickles.Refused(f"storage {storage.key!a} has another size than it says")
            return archive.read(member)

        content = archive.read(names[0])
        return _filled(pickles.load(content, _vocabulary(set())), raw, big, limits)


def _of_stream(data: bytes, limits: Limits) -> Any:
    """Read the layout before torch 1.6."""
    at, parts, found = 0, [], set[_Storage]()
    for _ in range(5):
        part, size = pickles.load_first(data[at : at + PICKLE_BYTES], _vocabulary(found))
        parts.append(part)
        at += size
        if parts[0] != MAGIC:
            raise pickles.Refused("is a pickle, but none that torch wrote")
    *_, value, keys = parts
    places: dict[str, tuple[int, int]] = {}  # where the numbers begin, and how many

    def raw(storage: _Storage) -> bytes:
        begin, count = places[storage.key]
        if count != storage.count:
            raise pickles.Refused(f"storage {storage.key!a} has another size than it says")
        return data[begin : begin + count * np.dtype(STORAGES[storage.kind]).itemsize]

    sizes = {s.key: np.dtype(STORAGES[s.kind]).itemsize for s in found}
    for key in keys if isinstance(keys, list) else []:
        count = int.from_bytes(data[at : at + 8], "little", signed=True)
        if count < 0 or key not in sizes or at + 8 + count * sizes[key] > len(data):
            raise pickles.Refused("ends within its tensors")
        places[key] = (at + 8, count)
        at += 8 + count * sizes[key]
    return _filled(value, raw, False, limits)


def _vocabulary(found: set[_Storage]) -> pickles.Vocabulary:
    """Return what the pickle of a ``torch.save`` may name; its storages are added to ``found``."""

    def storage(parts: Any) -> _Storage:
        _, kind, key, _, count = parts[:5]
        name = str(kind).removeprefix("torch ")
        if name not in STORAGES or type(key) is not str or type(count) is not int or count < 0:
            raise pickles.Refused(f"holds numbers of the kind {name[:40]!a}")
        kept = _Storage(name, key, count)
        found.add(kept)
        return kept

    def tensor(kept: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> _Tensor:
        numbers = (offset, *shape, *strides)
        whole = all(type(n) is int and n >= 0 for n in numbers)
        if type(kept) is not _Storage or not whole or len(shape) != len(strides):
            raise TypeError
        return _Tensor(kept, offset, tuple(shape), tuple(strides))

    def refused(*_: Any) -> Any:
        raise pickles.Refused("builds a storage, which is no plain data")

    return pickles.Vocabulary(
        dtypes=pickles.NUMBERS,
        builders={
            **{f"torch {name}": refused for name in STORAGES},
            "torch._utils _rebuild_tensor_v2": tensor,
            "torch._utils _rebuild_parameter": lambda found, *_: found,
            "torch Size": lambda sizes=(): tuple(sizes),
            "collections OrderedDict": lambda pairs=(): dict(pairs),
        },
        persistent=storage,
        depth=DEPTH,
    )


def _filled(value: Any, raw: Callable[[_Storage], bytes], big: bool, limits: Limits) -> Any:
    """Return the value with an array in place of each tensor."""
    kept: dict[_Storage, NDArray[Any]] = {}
    left = limits.decoded_bytes

    def array(tensor: _Tensor) -> NDArray[Any]:
        nonlocal left
        storage, count = tensor.storage, math.prod(tensor.shape)
        last = tensor.offset + sum(
            (n - 1) * step for n, step in zip(tensor.shape, tensor.strides, strict=True)
        )
        if count and last >= storage.count:
            raise pickles.Refused("holds a tensor that reaches beyond its numbers")
        kind = np.dtype(STORAGES[storage.kind]).newbyteorder(">" if big else "<")
        left -= max(count, 0 if storage in kept else storage.count) * 2 * kind.itemsize
        if left < 0:
            text = f"holds tensors of more than {limits.decoded_bytes:,} bytes"
            raise LimitExceeded(text, "DDS-E040")
        if storage not in kept:
            kept[storage] = np.frombuffer(raw(storage), kind)
        steps = tuple(n * kind.itemsize for n in tensor.strides)
        flat = kept[storage][tensor.offset :]
        seen = np.lib.stride_tricks.as_strided(flat, tensor.shape, steps, writeable=False)
        found = np.ascontiguousarray(seen).astype(kind.newbyteorder("="))
        if storage.kind == HALF:
            found = (found.astype(np.uint32) << 16).view(np.float32)
        return found.reshape(tensor.shape)

    done: dict[int, Any] = {}  # by identity: a short pickle may hold one list many times

    def walk(item: Any) -> Any:
        if id(item) not in done:
            if isinstance(item, _Tensor):
                done[id(item)] = array(item)
            elif isinstance(item, dict):
                done[id(item)] = {key: walk(inner) for key, inner in item.items()}
            elif isinstance(item, list):
                done[id(item)] = [walk(inner) for inner in item]
            else:
                return item
        return done[id(item)]

    return walk(value)
