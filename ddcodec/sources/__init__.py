"""Real data in: ``load`` turns a name or a path into a ``Source``."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import SourceError
from . import digits, imagefolder, npz, parquet
from .base import Source, Split

CACHED = ("cifar10", "cifar100", "cub200", "imagenet-1k", "tiny-imagenet")

__all__ = ["Source", "Split", "load", "names"]


def names() -> tuple[str, ...]:
    """Return the data sets known by name."""
    return ("digits", *CACHED)


def load(spec: str | os.PathLike[str]) -> Source:
    """Return the data set called ``spec`` or lying there: ImageFolder, parquet folder or .npz.

    A known name other than ``digits`` is looked for in the folder DDCODEC_DATA, then in the
    user's cache. Raises SourceError, naming every place looked in, where nothing is found.
    """
    if spec == "digits":
        return digits.load()
    path = Path(spec)
    if path.is_dir():
        return _folder(path)
    if path.is_file():
        if path.suffix != ".npz":
            raise SourceError(f"{path}: is no data set; use a folder or an .npz file")
        return npz.load(path)
    if spec in CACHED:
        tried = [folder / str(spec) for folder in _cache_folders()]
        for folder in tried:
            if folder.is_dir():
                return _folder(folder)
        places = " and ".join(str(f) for f in tried)
        raise SourceError(
            f"{spec}: not found; looked in {places}. Put parquet shards or an ImageFolder there, "
            "or name its folder"
        )
    raise SourceError(f"{spec}: no such file or folder, and none of: {', '.join(names())}")


def _folder(path: Path) -> Source:
    if parquet.shards(path, "train"):
        return parquet.load(path)
    if (path / "train").is_dir():
        return imagefolder.load(path)
    raise SourceError(
        f"{path}: has neither train-*.parquet files nor a train folder with a folder a class"
    )


def _cache_folders() -> list[Path]:
    given = os.environ.get("DDCODEC_DATA")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return ([Path(given)] if given else []) + [cache / "ddcodec"]
