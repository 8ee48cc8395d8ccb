"""Where a result goes: what is checked before the work, where links lead, what lies beside it."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import OutputError, UsageError

NAME_BYTES = 255  # of a file name, where the system does not say
ENDING = ".checkpoint"
DRAFT = ".ddcodec-"  # begins the names of temporary files and folders beside a result
# Names of what is open already: nothing can take their place, whatever they lead to.
OPEN = tuple(map(Path, ("/dev/fd", "/dev/stdout", "/dev/stderr", "/proc")))


def output_path(value: Any) -> Path:
    """Return what a caller named as output; raises UsageError for what can be no file's name."""
    if not isinstance(value, str | os.PathLike):
        raise UsageError(f"`out` must be a path, got {value!r}")
    path = output_folder(value)
    if os.fsdecode(value).endswith(os.sep):
        raise UsageError(f"{os.fsdecode(value)}: is the name of a folder; name a file in it")
    return path


def output_folder(value: Any) -> Path:
    """Return what a caller named as folder; raises UsageError for what can be no name."""
    if not isinstance(value, str | os.PathLike):
        raise UsageError(f"`out` must be a path, got {value!r}")
    text = os.fsdecode(value)
    if not text:
        raise UsageError("`out` is empty; give it a name")
    if "\0" in text:
        raise UsageError(f"`out` must be a path, got {text!r} with a NUL character")
    return Path(text)


def destination(path: Path) -> Path:
    """Return the file that is made or replaced when ``path`` is written: links are followed.

    Raises OSError for links in a circle.
    """
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return target


def is_special(path: Path) -> bool:
    """Say whether ``path`` leads to a device or a pipe, which is written to and never replaced."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    if stat.S_ISREG(mode):
        return any(path.absolute().is_relative_to(place) for place in OPEN)
    return not stat.S_ISDIR(mode)


def checkpoint_of(out: Path) -> Path:
    """Return where unfinished work on ``out`` is kept, see ``beside``."""
    return beside(out, ENDING)


def beside(out: Path, ending: str) -> Path:
    """Return the file beside ``out`` of which the name is that of ``out`` with an ending.

    Of a device or pipe it is in the current folder. A name that would be too long is cut.
    """
    place = Path(out.name) if is_special(out) else out
    name, most = place.name + ending, _longest_name(place)
    if len(os.fsencode(name)) > most:
        mark = hashlib.sha256(os.fsencode(place.name)).hexdigest()[:16]
        kept = os.fsencode(place.name)[: most - len(mark) - len(ending) - 1]
        name = f"{os.fsdecode(kept).encode(errors='ignore').decode()}-{mark}{ending}"
    return place.with_name(name)


def check_output(path: Path, overwrite: bool) -> None:
    """Raise OutputError where a file could not be written: before the work, not after a day of it.

    A device or pipe may be there without ``overwrite``.
    """
    if is_special(path):
        if stat.S_ISSOCK(path.stat().st_mode) or not os.access(path, os.W_OK):
            raise OutputError(f"{path}: cannot be written to; name a file")
        return
    if os.path.isdir(path):  # noqa: PTH112 - a pathlib's raises for a name that is too long
        raise OutputError(f"{path}: is a folder; name a file in it as `out`")
    check_parent(path)
    if path.exists() and not overwrite:
        raise OutputError(
            f"{path}: exists; choose another name for `out`, or replace it with `overwrite`"
        )


def check_parent(path: Path) -> Path:
    """Return the folder that a file or folder ``path`` will lie in.

    Raises OutputError where it cannot take one.
    """
    try:
        parent = destination(path).parent
        if not parent.is_dir():
            raise OutputError(f"{path}: the folder {parent} does not exist; make it first")
    except OSError as error:  # no current folder, a circle of links, a name that is too long
        raise OutputError(f"{path}: cannot write here: {error.strerror}") from None
    try:
        with draft(parent):  # rights do not tell of full disks and the like
            pass
    except OSError as error:
        raise OutputError(
            f"{path}: the folder {parent} cannot be written to: {error.strerror}"
        ) from None
    return parent


@contextmanager
def draft(folder: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """Give a new file in ``folder`` with a short name, and remove what is left of it at the end.

    Its rights are those of any new file. Raises OSError.
    """
    while True:
        path = folder / f"{DRAFT}{os.urandom(6).hex()}"
        try:
            file = path.open("xb")
        except FileExistsError:
            continue
        break
    try:
        with file:
            yield path, file
    finally:
        with suppress(OSError):
            path.unlink()  # gone already where all went well


def _longest_name(path: Path) -> int:
    try:
        return os.pathconf(path.absolute().parent, "PC_NAME_MAX")
    except (AttributeError, OSError, ValueError):  # not on every system
        return NAME_BYTES
