"""Images that are more than memory should hold: in a file, read as they are asked for."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SourceError
from ..preprocessing.stored import AT_ONCE, in_parts
from ..runtime.memory import available_memory

HELD_BYTES = 1 << 30  # of a split's images; more are not held in memory
SHARE = 4  # or more than one part of what is free
PLACE = threading.Lock()  # in a file, which a read follows
LARGE_TEMPORARY = Path("/var/tmp")


class OnDisk:
    """Images uint8 (N, H, W, C) in a file; an index gives a copy of some of them."""

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(
        self,
        shape: tuple[int, ...],
        file: IO[bytes],
        first: int = 0,
        whole: OnDisk | None = None,
    ) -> None:
        """Take an unbuffered file whose byte ``first`` is that of the first image.

        It is closed with the last of the images, or with ``whole``, whose they are.
        """
        self.shape = shape
        self._file, self._first, self._whole = file, first, whole
        self._places = np.arange(shape[0])  # of the images in the file
        if whole is None:
            weakref.finalize(self, file.close)
        self._size = prod(shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> NDArray[np.uint8]:
        """Return the images at a slice, at int64 (n,) or where bool (N,) is true."""
        places = self._places[index]
        flat = places.reshape(-1)
        out = np.empty((len(flat), *self.shape[1:]), np.uint8)
        # One call to the system for each stretch of neighbours.
        breaks = np.flatnonzero(np.diff(flat) != 1) + 1
        edges = [0, *breaks.tolist(), len(flat)] if len(flat) else []
        with PLACE:
            for begin, end in itertools.pairwise(edges):
                self._file.seek(self._first + int(flat[begin]) * self._size)
                self._fill(out[begin:end].data.cast("B"))
        return out.reshape(*places.shape, *self.shape[1:])

    def __setitem__(self, index: int | slice, value: NDArray[np.uint8], /) -> None:
        """Put one image in place, or those of a slice."""
        begin = index if isinstance(index, int) else index.indices(len(self))[0]
        with PLACE:
            self._file.seek(self._first + begin * self._size)
            rest = np.ascontiguousarray(value).data.cast("B")
            while len(rest):
                rest = rest[self._file.write(rest) :]

    def only(self, index: Any) -> OnDisk:
        """Return those at an index as images of their own, which stay where they are."""
        places = self._places[index]
        found = OnDisk((len(places), *self.shape[1:]), self._file, self._first, self)
        found._places = places
        return found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Return all of them in memory, for whoever must have an array."""
        return self[:] if dtype is None else self[:].astype(dtype)

    def _fill(self, place: memoryview) -> None:
        while len(place):
            done = self._file.readinto(place)  # type: ignore[attr-defined]
            if not done:
                raise OSError("the file is shorter than its images; it changed while it was read")
            place = place[done:]


Images = NDArray[np.uint8] | OnDisk  # uint8 (N, H, W, C)


def room_for(shape: tuple[int, ...], where: str) -> Images:
    """Return where images uint8 of ``shape`` (N, H, W, C) can be put: memory, or a temporary file.

    Raises SourceError, beginning with ``where``, if the disk has no room.
    """
    size = prod(shape)
    if size <= min(HELD_BYTES, available_memory() // SHARE):
        return np.empty(shape, np.uint8)
    folder = temporary_folder()
    free = shutil.disk_usage(folder).free
    if size > free:
        raise SourceError(
            f"{where}: needs {size / 2**30:,.1f} GiB on disk while it is used, {folder} has "
            f"{free / 2**30:,.1f}; set TMPDIR to a larger one, or use fewer or smaller images"
        )
    file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 (lives with the images)
    file.truncate(size)
    return OnDisk(shape, file)


def temporary_folder() -> Path:
    """Return the folder for large temporary files: ``$TMPDIR``, else /var/tmp, else the usual."""
    usual = Path(tempfile.gettempdir())
    given = any(os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP"))
    fits = LARGE_TEMPORARY.is_dir() and os.access(LARGE_TEMPORARY, os.W_OK)
    return LARGE_TEMPORARY if fits and not given else usual


def only(images: Images, index: NDArray[Any]) -> Images:
    """Return the images at int64 (n,) or where bool (N,) is true; on disk they are not read."""
    return images.only(index) if isinstance(images, OnDisk) else images[index]


def remade(
    images: Images,
    shape: tuple[int, ...],
    make: Callable[[NDArray[np.uint8]], NDArray[np.uint8]],
    where: str,
) -> Images:
    """Return what ``make`` makes of images (n, H, W, C), some at a time: in all of ``shape``."""
    found = room_for(shape, where)
    larger = max(images.shape, shape, key=lambda each: prod(each[1:]))
    for part in in_parts(larger, AT_ONCE):
        found[part] = make(images[part])
    return found
