"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from ..errors import OutputError


def write_atomically(
    path: Path,
    data: bytes | Callable[[BinaryIO], None],
    validate: Callable[[Path], object] | None = None,
) -> None:
    """Write ``data``, or what it writes to an open file, to ``path`` through a temporary file.

    The temporary file is synced and, where ``validate`` is given, read back by it before it takes
    the name. On any failure, a KeyboardInterrupt included, it is removed and an older file at
    ``path`` stays as it was. Raises OutputError with the system's reason.
    """
    try:
        handle, name = tempfile.mkstemp(dir=path.absolute().parent, prefix=f".{path.name}.")
    except OSError as error:
        raise OutputError(f"{path}: cannot write here: {error.strerror}") from None
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            if isinstance(data, bytes):
                file.write(data)
            else:
                data(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        if validate is not None:
            validate(temporary)
        temporary.replace(path)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot write: {error.strerror}; what was there is unchanged"
        ) from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()  # gone already where all went well
    _sync_folder(path.absolute().parent)


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    # So that the new name survives a power cut; some systems cannot sync folders.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
