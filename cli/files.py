"""Files that are read, and results that appear whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ddcodec.errors import DDSetError, OutputError
from ddcodec.runtime.outputs import DRAFT, check_parent


def check_folder(target: Path, overwrite: bool) -> Path:
    """Return the parent of a folder about to be written; raises OutputError where it cannot be."""
    parent = check_parent(target)
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise OutputError(f"{target}: is not a folder; name a new one with -o")
    if target.is_dir() and any(target.iterdir()) and not overwrite:
        raise OutputError(f"{target}: is not empty; name another with -o or replace it with -f")
    return parent


@contextmanager
def whole_folder(target: Path, overwrite: bool) -> Iterator[Path]:
    """Give an empty folder to fill; at the end of the block it takes the place of ``target``.

    What was in ``target`` is removed, but only once the new content is complete.
    """
    parent = check_folder(target, overwrite)
    with _one_line(target), tempfile.TemporaryDirectory(prefix=DRAFT, dir=parent) as folder:
        draft, old = Path(folder) / "new", Path(folder) / "old"
        draft.mkdir()
        yield draft
        if target.exists():
            target.rename(old)
        try:
            draft.rename(target)
        except BaseException:  # an interruption must not cost the old content either
            if old.exists() and not target.exists():
                old.rename(target)
            raise


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Make every error about a ``.ddset`` file name it: readers see bytes, people see files."""
    try:
        yield
    except DDSetError as problem:
        if str(path) not in str(problem):
            problem.args = (f"{path}: {problem}",)
        raise


@contextmanager
def _one_line(target: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, shutil.Error) as problem:
        reason = getattr(problem, "strerror", None) or str(problem)
        raise OutputError(f"{target}: cannot write: {reason}") from None
