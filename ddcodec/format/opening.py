"""Bytes from files and streams: no more than a cap, and one kind of error."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ..errors import InvalidFile, LimitExceeded, SourceError
from ..limits import Limits

AT_ONCE = 64 << 20  # bytes of a call: a huge request would be allocated before anything is read


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn the system's errors into SourceError, which names the file."""
    try:
        yield
    except FileNotFoundError:
        raise SourceError(f"{path}: no such file") from None
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from None


def load(path: Path, limits: Limits) -> bytes:
    """Return the whole content of a file; raises LimitExceeded before reading too much."""
    with reading(path), path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > limits.file_bytes:
            raise LimitExceeded(
                f"{path}: {size} bytes, the limit is {limits.file_bytes}", "DDS-E001"
            )
        return read_stream(file, limits)


def read_stream(stream: BinaryIO, limits: Limits) -> bytes:
    """Return what is left of a stream, at most one byte more than a file may have."""
    parts, left = [], limits.file_bytes + 1
    while left > 0 and (part := stream.read(min(left, AT_ONCE))):
        parts.append(part)
        left -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def read_at(file: BinaryIO, begin: int, size: int) -> bytes:
    """Return ``size`` bytes from a position, whatever other threads read.

    Raises InvalidFile where the file has become shorter.
    """
    parts = []
    while size > 0:
        part = os.pread(file.fileno(), min(size, AT_ONCE), begin)
        if not part:
            raise InvalidFile("tensor data: cut short while being read", "DDS-E007")
        parts.append(part)
        begin, size = begin + len(part), size - len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)
