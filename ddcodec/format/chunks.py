"""Reading a file piece by piece: the header at opening, each piece when it is asked for."""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from pathlib import Path
from typing import BinaryIO

from ..errors import SourceError
from ..limits import Limits
from .header import Header, length_of, parse, stored_name
from .opening import read_at, reading
from .payload import Array, decode_piece, digest, rows_of
from .rules import check_values
from .values import need

HASHED = 4 << 20  # bytes of a read while hashing


def read_header(file: BinaryIO, limits: Limits, streamed: bool = False) -> Header:
    """Return the checked header of an open file; nothing else is read (see ``header.parse``)."""
    total = os.fstat(file.fileno()).st_size
    length = length_of(read_at(file, 0, min(8, total)), total, limits)
    return parse(read_at(file, 8, length), total, limits, streamed)


class ChunkReader:
    """Decoded chunks of a file's tensors, one by one; the file may be larger than memory.

    Opening reads the header alone. Every ``read`` takes its bytes from the file again, so memory
    is bounded by the chunks that callers hold, and threads may read at the same time. With
    ``check`` the first read compares the content digest, which covers the manifest and all tensors
    that are stored in one piece, and every read compares its chunk with the digest in the manifest.

    A reader can be sent to another process by its path; it cannot be pickled itself.

    Raises:
        InvalidFile, LimitExceeded: a rule is broken; ``limits.decoded_bytes`` bounds one chunk
            here, and the size of the file is not bounded. Unsupported: a later version.
        SourceError: the file cannot be opened or read.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, check: bool = True, limits: Limits = Limits()
    ) -> None:
        self.path = Path(path)
        self._check, self._limits = check, limits
        self._lock = threading.Lock()
        self._manifest_checked = False
        with reading(self.path):
            if not stat.S_ISREG(self.path.stat().st_mode):
                raise SourceError(f"{self.path}: not a regular file, whose chunks could be read")
            self._file = self.path.open("rb")
            try:
                self._header = read_header(self._file, limits, streamed=True)
            except BaseException:
                self._file.close()
                raise
        self.manifest, self.sizes = self._header.manifest, self._header.sizes

    def chunks(self, name: str) -> int:
        """Return the number of chunks of a tensor; 1 where it is stored in one piece."""
        return len(self.manifest.tensors[name].digests or (None,))

    def rows(self, name: str, i: int) -> tuple[int, int]:
        """Return (begin, end): the indices of axis 0 that chunk ``i`` holds."""
        return rows_of(self.manifest.tensors[name], i)

    def read(self, name: str, i: int) -> Array:
        """Return chunk ``i`` of a tensor, decoded: dtype of the tensor, shape (end - begin, ...).

        Raises KeyError and IndexError for a tensor or chunk that is not there, InvalidFile for
        damage, SourceError where the file cannot be read or was closed.
        """
        if self._check:
            self._check_manifest()
        array = self._decode(name, i, self._check)
        check_values(self.manifest, {name: array})
        return array

    def check_content(self) -> None:
        """Decode every chunk once and compare all digests of decoded values; raises InvalidFile.

        Holds one chunk at a time. ``read`` checks the same for what it returns.
        """
        self._check_manifest()
        for name in self.manifest.tensors:
            for i in range(self.chunks(name)):
                check_values(self.manifest, {name: self._decode(name, i, check=True)})

    def _check_manifest(self) -> None:
        """Compare the content digest, once: it covers the manifest, which lists chunk digests."""
        with self._lock:
            if not self._manifest_checked:
                pieces = self.manifest.in_one_piece()
                self.manifest.check_content(
                    {name: digest(self._decode(name, 0, check=False)) for name in pieces}
                )
                self._manifest_checked = True

    def check_data(self) -> None:
        """Compare the digest of the stored bytes, 4 MiB at a time; raises InvalidFile."""
        h, position = hashlib.sha256(), self.sizes.header
        with reading(self.path):
            while position < self.sizes.total:
                size = min(HASHED, self.sizes.total - position)
                h.update(read_at(self._open(), position, size))
                position += size
        same = h.hexdigest()[:16] == self.manifest.data_digest
        need(same, "tensor data: the digest does not match", "DDS-E030")

    def close(self) -> None:
        """Close the file; reading after it raises SourceError."""
        self._file.close()

    def __enter__(self) -> ChunkReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _decode(self, name: str, i: int, check: bool) -> Array:
        spec = self.manifest.tensors[name]
        rows_of(spec, i)  # raises IndexError
        entry = self._header.entries[stored_name(name, spec, i)]
        with reading(self.path):
            begin = self.sizes.header + entry.begin
            stored = memoryview(read_at(self._open(), begin, entry.end - entry.begin))
        return decode_piece(name, spec, i, stored, self._limits, check)

    def _open(self) -> BinaryIO:
        if self._file.closed:
            raise SourceError(f"{self.path}: was closed")
        return self._file
