"""Real data in: ``load`` turns a name or a path into a ``Source``."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import SourceError, UsageError
from . import digits, hub, layouts
from .base import Source, Split
from .named import BUNDLED, KNOWN, find, missing, names, places

__all__ = ["Source", "Split", "load", "names"]

SIZE_MAX = 4096


def load(
    spec: str | os.PathLike[str], *, download: bool = False, size: int | None = None
) -> Source:
    """Return the data set called ``spec`` or lying there, in any layout of ``layouts``.

    A known name is never a path: ``cifar10`` is the data set, ``./cifar10`` or a ``Path`` the
    folder. Images are read later, a split at a time.

    Args:
        spec: a name of ``names()`` or a path.
        download: fetch a known data set that is not there from the Hugging Face hub.
        size: scale the central square of every image to this many pixels a side, 1..4096.

    Raises:
        UsageError: ``size`` is out of range.
        SourceError: nothing is found, with every place looked in, or what is there is broken.
        MissingExtra: a library that reads it is not installed.
    """
    if size is not None and not 1 <= size <= SIZE_MAX:
        raise UsageError(f"--size must be from 1 to {SIZE_MAX} pixels, got {size}")
    if spec == BUNDLED:
        return digits.load(size)
    known = isinstance(spec, str) and spec in KNOWN
    path = Path(spec)
    if isinstance(spec, str) and known:
        place = find(spec)
        if place is None:
            if not download:
                raise missing(spec)
            place = places(spec)[0]
            hub.fetch(spec, KNOWN[spec], place)
        path, size = place, size or KNOWN[spec].size
    elif not path.exists():
        hint = f", and none of: {', '.join(names())}" if len(path.parts) == 1 else ""
        raise SourceError(f"{path}: no such file or folder{hint}")
    try:
        return layouts.load(path, str(spec) if known else None, size)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from None
