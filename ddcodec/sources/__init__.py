"""Real data in: ``load`` turns a name or a path into a ``Source``."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import SourceError
from . import digits, imagefolder, npz, parquet
from .base import Source, Split
from .named import BUNDLED, IN_FOLDERS, find, missing, names

__all__ = ["Source", "Split", "load", "names"]


def load(spec: str | os.PathLike[str]) -> Source:
    """Return the data set called ``spec`` or lying there: ImageFolder, parquet folder or .npz.

    A known name comes before a path; a ``Path``, or ``./cifar10``, is always a path. Images are
    read later, a split at a time. Raises SourceError, naming every place looked in, where nothing
    is found, and MissingExtra where a library that reads it is not installed.
    """
    if spec == BUNDLED:
        return digits.load()
    path = Path(spec)
    if isinstance(spec, str) and spec in IN_FOLDERS:
        path = find(spec) or path
        if not path.is_dir():
            raise missing(spec)
    try:
        return _at(path)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from None


def _at(path: Path) -> Source:
    if path.is_file():
        if path.suffix == ".npz":
            return npz.load(path)
        hint = "give the folder it lies in" if path.suffix == ".parquet" else "unpack it first"
        raise SourceError(f"{path}: is no data set; use a folder or an .npz file, or {hint}")
    if not path.is_dir():
        raise SourceError(f"{path}: no such file or folder, and none of: {', '.join(names())}")
    if parquet.shards(path, "train"):
        return parquet.load(path)
    if (path / "train").is_dir():
        return imagefolder.load(path)
    raise SourceError(
        f"{path}: has neither train-*.parquet files nor a train folder; "
        f"put images at {path / 'train' / '<class>' / '<image>.png'}"
    )
