"""A gallery: a static page of a folder of files, with their pictures beside it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from ..errors import DDSetError, SourceError
from ..runtime.progress import SILENT, Reporter
from .gallery_page import Entry, page
from .subject import subject_of

PICTURE_SIDE = 504  # pixels at most; three for each on the page
PAGE, PICTURES, FILES = "index.html", "pictures", "files"


def find_files(folder: Path) -> list[Path]:
    """Return all ``.ddset`` files in a folder and below; raises SourceError where there is none."""
    if not folder.is_dir():
        raise SourceError(f"{folder}: is not a folder")
    found = sorted(path for path in folder.rglob("*.ddset") if path.is_file())
    if not found:
        raise SourceError(f"{folder}: has no .ddset files")
    return found


def write_gallery(
    root: Path,
    files: Sequence[Path],
    folder: Path,
    *,
    title: str,
    with_files: bool = False,
    reporter: Reporter = SILENT,
) -> None:
    """Write ``index.html`` and ``pictures/`` for files below ``root`` into a folder.

    ``with_files`` copies the files to ``files/`` and links them. A file whose images a diffusion
    model makes has no picture. Raises InvalidFile, Unsupported, naming the file; OSError of the
    folder.
    """
    (folder / PICTURES).mkdir()
    entries = []
    reporter.stage("drawing", len(files))
    for index, path in enumerate(files):
        try:
            entries.append(_entry(root, path, folder, index + 1, with_files))
        except DDSetError as error:
            if str(path) not in str(error):
                error.args = (f"{path}: {error}",)
            raise
        reporter.step(index + 1)
    (folder / PAGE).write_text(page(entries, title), encoding="utf-8")


def _entry(root: Path, path: Path, folder: Path, number: int, with_files: bool) -> Entry:
    name, row = path.relative_to(root), f"file-{number}"
    subject = subject_of(path)
    link = None
    if with_files:
        copy = folder / FILES / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
        link = quote(f"{FILES}/{name.as_posix()}")
    if subject.manifest.external:
        return Entry(subject, name.as_posix(), row, link=link)
    from ..data.opening import load
    from ..inspection.preview import portrait, render

    ds = load(path)
    small, large = f"{PICTURES}/{number}.png", f"{PICTURES}/{number}-large.png"
    picture = portrait(ds, PICTURE_SIDE)
    picture.save(folder / small, format="PNG")
    render(ds).save(folder / large, format="PNG")
    return Entry(subject, name.as_posix(), row, (small, large), picture.size, link)
