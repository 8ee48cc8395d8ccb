"""Files of a data set by name, out of a folder or a tar archive; nothing is ever unpacked.

The archive is read as a stream with bounds on everything, whatever its headers say. Names in it
are compared, never opened.
"""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections import deque
from collections.abc import Callable, Collection, Iterator
from functools import cache, partial
from pathlib import Path
from typing import IO, cast

from ..errors import SourceError, one_line
from .checks import one_line_errors

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
    with one_line_errors(str(path)):
        raw = path.open("rb")
    with raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        file = cast("IO[bytes]", gzip.GzipFile(fileobj=raw)) if packed else raw
        long_name = ""
        while block := _read(file, BLOCK, path):
            if block == bytes(BLOCK):
                return
            header = _header(block, path)
            name = long_name or header.name
            content = cache(partial(_content, file, header.size, path, name))
            if header.type in (b"L", b"x"):
                if header.size > NAME_MAX:
                    raise SourceError(
                        f"{path}: holds a name of {header.size:,} bytes; is it an archive?"
                    )
                long_name = _name(content(), header.type) or long_name
                continue
            long_name = ""
            if header.type in (b"0", b"\0"):  # no folder, link, device or global header
                if header.size > FILE_MAX:
                    raise SourceError(
                        f"{path}: '{name[:200]}' has {header.size:,} bytes, over {FILE_MAX:,}"
                    )
                yield name, content
            if content.cache_info().currsize == 0:
                deque(_pieces(file, header.size, path, name), maxlen=0)
    raise SourceError(f"{path}: ends without the mark of its end; fetch the archive again")


def _header(block: bytes, path: Path) -> tarfile.TarInfo:
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "replace")
        if header.size >= 0:
            return header
    except tarfile.TarError:
        pass
    raise SourceError(f"{path}: is no tar archive, or a damaged one")


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
    return b"".join(_pieces(file, size, path, name))[:size]


def _pieces(file: IO[bytes], size: int, path: Path, name: str) -> Iterator[bytes]:
    """Yield what a file of the archive holds, filled up to whole blocks."""
    left = -(-size // BLOCK) * BLOCK
    while left:
        piece = _read(file, min(left, 1 << 20), path)
        if not piece:
            raise SourceError(f"{path}: ends within '{name[:200]}'; fetch the archive again")
        yield piece
        left -= len(piece)


def _read_file(path: Path) -> bytes:
    if not path.is_file():
        raise SourceError(f"{path}: is missing; fetch the data set again")
    if path.stat().st_size > FILE_MAX:
        raise SourceError(f"{path}: has {path.stat().st_size:,} bytes, over {FILE_MAX:,}")
    return path.read_bytes()
