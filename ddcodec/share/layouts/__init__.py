"""What peers publish, a module for each kind of layout: files to arrays, nothing executed."""

from __future__ import annotations

import zipfile
from pathlib import Path

from ...errors import DDSetError, InvalidFile, SourceError, UsageError
from ...format import read_manifest
from ...format.opening import reading
from ...sources.complete import require_finished
from . import array_sets, folder_sets, torch_sets
from .found import Found
from .tables import read_table

__all__ = ["Found", "find"]

PUBLISHED = ("res_*.pt", "images_best.pt", "data.pt", "*_poster.pt", "*.ddset")


def find(path: Path, labels_file: Path | None = None) -> Found:
    """Return the set at ``path``, a file or a folder, whatever its name.

    ``labels_file`` holds its labels where they lie apart. Raises SourceError where nothing is
    there, InvalidFile for content that is in no known layout or contradicts itself.
    """
    if not path.exists():
        raise SourceError(f"{path}: no such file or folder")
    with reading(path):
        require_finished(path)
        _require_foreign(path)
        apart = None if labels_file is None else read_table(labels_file)
        # Class folders before parquet: a folder of classes may hold a table beside them.
        found = (
            torch_sets.find(path, apart)
            or array_sets.find_npz(path, apart)
            or array_sets.find_hdf5(path, apart)
            or folder_sets.find_folder(path, apart)
            or folder_sets.find_parquet(path)
        )
    if found is not None:
        return found
    if path.is_dir():
        inside = sorted(each for name in PUBLISHED for each in path.glob(name))
        hint = f"; is it {inside[0]} that you mean?" if inside else ""
        raise InvalidFile(f"{path}: has no class folders with images and no parquet files{hint}")
    raise InvalidFile(
        f"{path}: is in no layout that is known (torch.save, npz, HDF5, parquet, class folders)"
    )


def _require_foreign(path: Path) -> None:
    """Raise UsageError for a file of this format, InvalidFile for an archive that was cut short."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        start = file.read(9)
    if start[:2] == b"PK" and not zipfile.is_zipfile(path):
        raise InvalidFile(f"{path}: is cut short or damaged; fetch it again")
    if start[8:] == b"{":
        try:
            read_manifest(path)
        except DDSetError:
            return
        raise UsageError(f"{path}: is a .ddset file already; decode takes it apart")
