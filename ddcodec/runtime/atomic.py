"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from ..errors import OutputError
from .outputs import destination, draft, is_special


def write_atomically(
    path: Path,
    data: bytes | Callable[[BinaryIO], None],
    validate: Callable[[Path], object] | None = None,
) -> None:
    """Write ``data``, or what it writes to an open file, to ``path`` through a temporary file.

    The temporary file is synced and, where ``validate`` is given, read back by it before it takes
    the name. On any failure, a KeyboardInterrupt included, it is removed and an older file at
    ``path`` stays as it was. Of a link the target is replaced. A device or pipe is not replaced:
    it is given the bytes once they are complete. Raises OutputError with the system's reason.
    """
    try:
        special = is_special(path)
        target = destination(path)
        folder = Path(tempfile.gettempdir()) if special else target.parent
        with draft(folder) as (temporary, file):
            if isinstance(data, bytes):
                file.write(data)
            else:
                data(file)
            file.flush()
            os.fsync(file.fileno())
            file.close()
            if validate is not None:
                validate(temporary)
            if special:
                _pass_on(temporary, path)
                return
            temporary.replace(target)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot write: {error.strerror}"
            + ("" if special else "; what was there is unchanged")
        ) from None
    _sync_folder(target.parent)


def _pass_on(temporary: Path, path: Path) -> None:
    # Without O_CREAT: where it has gone meanwhile, no file takes its place.
    with os.fdopen(os.open(path, os.O_WRONLY), "wb") as out, temporary.open("rb") as whole:
        shutil.copyfileobj(whole, out, 1 << 20)


def _sync_folder(folder: Path) -> None:
    # So that the new name survives a power cut; some systems cannot sync folders.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
