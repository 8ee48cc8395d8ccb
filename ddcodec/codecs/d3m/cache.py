"""Generated images on disk: kept under a key, no more than a number of bytes, the oldest go first.

The key is that of the file's content and of the model's weights, so nothing stale is ever read.
What is damaged is made again.
"""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import OutputError
from ...runtime.atomic import write_atomically
from ..base import CACHE_BYTES

DIGEST = 32  # bytes of the SHA-256 in front of the pixels
_FOLDER = re.compile(r"d3m-[0-9a-f]{32}")
_FILE = re.compile(r"[0-9]{8,}\.u8")

Images = NDArray[np.uint8]


class ImageCache:
    """The images of one file, in units, in a folder that may hold those of others too."""

    def __init__(self, folder: Path, content: str, model: str, cap: int = CACHE_BYTES) -> None:
        """Take the digests of content and model, hex, and the bytes of the whole folder.

        Raises OutputError where the folder cannot be made.
        """
        key = hashlib.sha256(f"{content} {model}".encode()).hexdigest()[:32]
        self._root, self._cap = folder, cap
        self._place = folder / f"d3m-{key}"
        try:
            self._place.mkdir(parents=True, exist_ok=True)
            self._used = sum(size for _, size, _ in self._files())
        except OSError as error:
            raise OutputError(f"{folder}: cannot be used as a cache: {error.strerror}") from None

    def get(self, unit: int, shape: tuple[int, ...]) -> Images | None:
        """Return the images of a unit, uint8 of a shape, or None where they are not here."""
        path = self._place / f"{unit:08d}.u8"
        try:
            data = path.read_bytes()
        except OSError:
            return None
        if len(data) != DIGEST + int(np.prod(shape)):
            return None
        if hashlib.sha256(data[DIGEST:]).digest() != data[:DIGEST]:
            return None
        with suppress(OSError):
            os.utime(path)  # so that what is used is not what goes first
        return np.frombuffer(data, np.uint8, offset=DIGEST).reshape(shape).copy()

    def put(self, unit: int, images: Images) -> None:
        """Keep the images of a unit; older files go where the cap is reached.

        What cannot be kept, on a full disk for instance, will be made again: that is no error.
        """
        data = np.ascontiguousarray(images).tobytes()
        size = DIGEST + len(data)
        if size > self._cap:
            return
        path = self._place / f"{unit:08d}.u8"
        with suppress(OSError, OutputError):
            self._make_room(size)
            self._place.mkdir(parents=True, exist_ok=True)  # another process may have emptied it
            write_atomically(path, hashlib.sha256(data).digest() + data)
            self._used += size

    def _make_room(self, size: int) -> None:
        if self._used + size <= self._cap:
            return
        # Other processes write here too: look again, then go down to nine tenths at once.
        files = sorted(self._files())
        self._used = sum(held for _, held, _ in files)
        for _, held, path in files:
            if self._used + size <= self._cap * 9 // 10:
                break
            with suppress(OSError):
                path.unlink()
            self._used -= held

    def _files(self) -> list[tuple[float, int, Path]]:
        """Return (time of last use, bytes, path) of every file that is this cache's own kind."""
        found = []
        for folder in self._root.iterdir():
            if not _FOLDER.fullmatch(folder.name) or not folder.is_dir():
                continue
            for path in folder.iterdir():
                if _FILE.fullmatch(path.name):
                    with suppress(OSError):
                        facts = path.stat()
                        found.append((facts.st_mtime, facts.st_size, path))
        return found
