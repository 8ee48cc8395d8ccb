"""Results that are folders: whole or not at all, where links lead."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import OutputError
from .outputs import DRAFT, check_parent, destination


def check_folder(target: Path, overwrite: bool) -> Path:
    """Return the folder that is made or replaced when ``target`` is written: links are followed.

    Raises OutputError where it cannot be.
    """
    check_parent(target)
    try:
        folder = destination(target)
        if folder.exists() and not folder.is_dir():
            raise OutputError(f"{target}: is not a folder; choose another name for `out`")
        if folder.is_dir() and any(folder.iterdir()) and not overwrite:
            raise OutputError(
                f"{target}: exists and is not empty; choose another name for `out`, or replace it "
                "with `overwrite`"
            )
    except OSError as error:
        raise OutputError(f"{target}: cannot be looked into: {error.strerror}") from None
    return folder


@contextmanager
def whole_folder(target: Path, overwrite: bool) -> Iterator[Path]:
    """Give an empty folder to fill; at the end of the block it takes the place of ``target``.

    What was in ``target`` is removed, but only once the new content is complete; a link stays, and
    it is the folder that it leads to that is replaced. Raises OutputError.
    """
    goal = check_folder(target, overwrite)
    with _one_line(target), tempfile.TemporaryDirectory(prefix=DRAFT, dir=goal.parent) as folder:
        draft, old = Path(folder) / "new", Path(folder) / "old"
        draft.mkdir()
        yield draft
        if goal.exists():
            goal.rename(old)
        try:
            draft.rename(goal)
        except BaseException:  # an interruption must not cost the old content either
            if old.exists() and not goal.exists():
                old.rename(goal)
            raise


@contextmanager
def _one_line(target: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, shutil.Error) as problem:
        reason = getattr(problem, "strerror", None) or str(problem)
        raise OutputError(f"{target}: cannot write: {reason}") from None
