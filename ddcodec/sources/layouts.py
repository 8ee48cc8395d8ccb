"""The ways in which a data set may lie on disk, and which of them a path shows."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from ..errors import SourceError
from . import cifar, cub200, idx, imagefolder, npz, parquet, tinyimagenet, webdataset
from .base import Source, path_name


class Layout(Protocol):
    """A module that reads one layout."""

    def find(self, path: Path, /) -> Path | None:
        """Return where exactly the data set lies in ``path``, or None where it is not so."""

    def load(self, path: Path, name: str, size: int | None, /) -> Source:
        """Return the source at ``path``, a result of ``find``."""


# In this order: CIFAR's archives are archives, Tiny-ImageNet has a train folder.
LAYOUTS: tuple[Layout, ...] = (
    npz,
    parquet,
    cifar,
    idx,
    tinyimagenet,
    cub200,
    imagefolder,
    webdataset,
)


def load(path: Path, name: str | None = None, size: int | None = None) -> Source:
    """Return the source at ``path``, in whichever layout it is; call it ``name`` where given.

    Raises SourceError where there is nothing, or nothing that looks like a data set.
    """
    if not path.exists():
        raise SourceError(f"{path}: no such file or folder")
    for layout in LAYOUTS:
        found = layout.find(path)
        if found is not None:
            return layout.load(found, name or path_name(path), size)
    if path.is_dir():
        raise SourceError(
            f"{path}: has neither train-*.parquet files nor a train folder, nor another layout "
            f"that is known; put images at {path / 'train' / '<class>' / '<image>.png'}"
        )
    hint = "give the folder it lies in" if path.suffix == ".parquet" else "unpack it first"
    raise SourceError(f"{path}: is no data set that can be read; {hint}")
