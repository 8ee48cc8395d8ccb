"""The data sets known by name, and the folders in which they are looked for."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import SourceError

BUNDLED = "digits"
IN_FOLDERS = ("cifar10", "cifar100", "cub200", "imagenet-1k", "tiny-imagenet")


def names() -> tuple[str, ...]:
    """Return the data sets known by name."""
    return (BUNDLED, *IN_FOLDERS)


def places(name: str) -> list[Path]:
    """Return the folders in which ``name`` is looked for, first to last.

    They are ``$DDCODEC_DATA/<name>``, where that is set, and ``ddcodec/<name>`` in the user's
    cache: ``$XDG_CACHE_HOME`` if it is an absolute path, else ``~/.cache``.
    """
    given = os.environ.get("DDCODEC_DATA")
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not cache.is_absolute():
        cache = Path.home() / ".cache"
    return [root / name for root in ([Path(given)] if given else []) + [cache / "ddcodec"]]


def find(name: str) -> Path | None:
    """Return the folder that holds the data set ``name``, or None."""
    return next((place for place in places(name) if place.is_dir()), None)


def missing(name: str) -> SourceError:
    """Return the error that says where ``name`` was looked for and what to do."""
    looked = " and ".join(map(str, places(name)))
    return SourceError(
        f"{name}: not found; looked in {looked}. Put its parquet files (train-*.parquet, "
        "test-*.parquet) or an ImageFolder there, or set DDCODEC_DATA to the folder above it"
    )
