"""Files of a data set by name, out of a folder or a tar archive; nothing is ever unpacked.

The archive is read as a stream with bounds on everything, whatever its headers say. Names in it
are compared, never opened.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import IO, cast

from ..errors import SourceError, one_line

BLOCK = 512
FILE_MAX = 1 << 28  # bytes of one file; the largest of CIFAR has 155 million
NAME_MAX = 1 << 16  # bytes of a long name or of a pax header
SUFFIXES = (".tar", ".tar.gz", ".tgz")


def is_archive(path: Path) -> bool:
    """Say whether ``path`` is a file called like a tar archive that can be read."""
    return path.name.lower().endswith(SUFFIXES) and path.is_file()


def read_files(place: Path, wanted: Collection[str]) -> dict[str, bytes]:
    """Return the contents of the files called as in ``wanted``; raises where one is missing.

    ``place`` is the folder that holds them, or a tar archive with them in any of its folders.
    """
    if place.is_dir():
        return {name: _read_file(place / name) for name in wanted}
    found: dict[str, bytes] = {}
    for name, read in entries(place):
        last = name.rpartition("/")[2]
        if last in wanted and last not in found:
            found[last] = read()
        if len(found) == len(wanted):
            return found
    missing = sorted(set(wanted) - set(found))
    raise SourceError(f"{place}: holds no file '{missing[0]}'; fetch the archive again")


def entries(path: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Yield (name, function that returns the content) of each regular file in a tar archive.

    The function may be called before the next pair is asked for. Raises SourceError, naming the
    archive, where it is damaged or one of its files has more than FILE_MAX bytes.
    """
    try:
        raw = path.open("rb")
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {one_line(error)}") from None
    with raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        unpacked = cast("IO[bytes]", gzip.GzipFile(fileobj=raw)) if packed else raw
        yield from _entries(unpacked, path)


def _entries(file: IO[bytes], path: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    long_name = ""
    while header := _read(file, BLOCK, path):
        if header == bytes(BLOCK):
            return
        name, kind, size = _header(header, path)
        if kind in (b"L", b"x"):
            if size > NAME_MAX:
                raise SourceError(f"{path}: holds a name of {size:,} bytes; is it an archive?")
            long_name = _name(_content(file, size, path, name), kind) or long_name
            continue
        name, long_name = long_name or name, ""
        if kind not in (b"0", b"\0"):  # folders, links, devices, global headers
            _skip(file, size, path, name)
            continue
        if size > FILE_MAX:
            raise SourceError(f"{path}: '{name[:200]}' has {size:,} bytes, over {FILE_MAX:,}")
        kept: list[bytes] = []

        def read(size: int = size, name: str = name, kept: list[bytes] = kept) -> bytes:
            if not kept:
                kept.append(_content(file, size, path, name))
            return kept[0]

        yield name, read
        if not kept:
            _skip(file, size, path, name)
    raise SourceError(f"{path}: ends without the mark of its end; fetch the archive again")


def _header(block: bytes, path: Path) -> tuple[str, bytes, int]:
    try:
        if len(block) < BLOCK or int(block[148:156].strip(b" \0"), 8) != (
            sum(block) - sum(block[148:156]) + 8 * ord(" ")
        ):
            raise ValueError
        size = int(block[124:136].strip(b" \0") or b"0", 8)
        if size < 0:
            raise ValueError
    except ValueError:
        raise SourceError(f"{path}: is no tar archive, or a damaged one") from None
    name = block[:100].split(b"\0")[0]
    if block[257:263] == b"ustar\0" and block[345]:
        name = block[345:500].split(b"\0")[0] + b"/" + name
    return name.decode("utf-8", "replace"), block[156:157], size


def _name(content: bytes, kind: bytes) -> str:
    """Return the name in a GNU long name or in a pax header, or "" where it holds none."""
    if kind == b"L":
        return content.split(b"\0")[0].decode("utf-8", "replace")
    for line in content.split(b"\n"):  # "<length> path=<name>"
        _, _, item = line.partition(b" ")
        if item.startswith(b"path="):
            return item.removeprefix(b"path=").decode("utf-8", "replace")
    return ""


def _read(file: IO[bytes], size: int, path: Path) -> bytes:
    try:
        return file.read(size)
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(f"{path}: cannot be read as an archive: {one_line(error)}") from None


def _content(file: IO[bytes], size: int, path: Path, name: str) -> bytes:
    padded = -(-size // BLOCK) * BLOCK
    content = _read(file, padded, path)
    if len(content) < padded:
        raise SourceError(f"{path}: ends within '{name[:200]}'; fetch the archive again")
    return content[:size]


def _skip(file: IO[bytes], size: int, path: Path, name: str) -> None:
    left = -(-size // BLOCK) * BLOCK
    while left:
        step = len(_read(file, min(left, 1 << 20), path))
        if step == 0:
            raise SourceError(f"{path}: ends within '{name[:200]}'; fetch the archive again")
        left -= step


def _read_file(path: Path) -> bytes:
    if not path.is_file():
        raise SourceError(f"{path}: is missing; fetch the data set again")
    if path.stat().st_size > FILE_MAX:
        raise SourceError(f"{path}: has {path.stat().st_size:,} bytes, over {FILE_MAX:,}")
    return path.read_bytes()
