"""The source of a file, found again to test on.

What a file says comes from a stranger. Its source's name is compared with the known names, the
digest with that of the images that are found; nothing in a file is ever taken for a path. Paths
that were encoded on this machine stand in a record of the machine's own, in the user's cache:
``ddcodec/encoded/<digest of the training images>``, a small file that holds the path.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..errors import OutputError, UsageError
from ..runtime.atomic import write_atomically
from .base import Source
from .layouts import load
from .named import BUNDLED, KNOWN, cache_folder, find, missing, names
from .views import in_order

PATH_BYTES = 1 << 16  # no system has longer paths
ASK = "say what to test on with `test`"


def remember(digest: str, spec: str | os.PathLike[str]) -> None:
    """Note that images of this digest came from a path; names, and an unwritable cache, are not."""
    if isinstance(spec, str) and spec in names():
        return
    with suppress(OSError, OutputError):  # no home, a full disk, others' folder
        note = _note(digest)
        note.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(note, os.fsencode(Path(spec).absolute()))


def recall(digest: str) -> Path | None:
    """Return the path from which images of this digest were encoded here, if it still exists."""
    with suppress(OSError, ValueError):
        with _note(digest).open("rb") as file:
            path = Path(os.fsdecode(file.read(PATH_BYTES)))
        return path if path.exists() else None
    return None


def _note(digest: str) -> Path:
    if not digest.isalnum():  # of a manifest it is 32 hexadecimal digits
        raise ValueError(digest)
    cache = cache_folder()
    if cache is None:
        raise OSError("no home folder")
    return cache / "encoded" / digest[:32]


def find_again(made: Mapping[str, Any], classes: Sequence[str], **how: Any) -> Source:
    """Return the source that a file was made from, its classes in the order of the file.

    Args:
        made: ``source`` of the file's manifest.
        classes: of the file.
        how: ``size`` and ``test_share`` instead of the file's own; ``download`` and ``say`` as for
            ``load``.

    Raises UsageError where it is not known any more or has changed; SourceError where it is known
    by name but not here.
    """
    name, digest = str(made["name"]), str(made["digest"])
    opener = _Opener(made, **how)
    path = recall(digest)
    if name == BUNDLED or (name in KNOWN and (opener.download or find(name) is not None)):
        source = opener.open(name)
        if not source.is_that_of(digest):
            own = f" (it was {path})" if path is not None else ""
            raise UsageError(
                f"the file was made from other images than those called '{name}' here: their "
                f"digests differ; {ASK}{own}"
            )
    elif path is not None:
        source = opener.open(path)
        if not source.is_that_of(digest):
            _refuse_seen(path, source, digest, opener.share)
            raise UsageError(
                f"{path}: is not as it was when the file was made from it: the digests differ; "
                f"{ASK}"
            )
    elif name in KNOWN:
        raise missing(name)
    else:
        raise UsageError(f"the file was made from '{name}', which is not known here; {ASK}")
    return in_order(source, classes)


def open_for(
    spec: str | os.PathLike[str], made: Mapping[str, Any], classes: Sequence[str], **how: Any
) -> Source:
    """Return the source ``spec`` to test a file on, with the file's own ``size``.

    It gets the file's own ``test_share`` if the file was made from it. Raises UsageError where a
    held out share would not be unseen; else as ``find_again`` and ``load``.
    """
    opener = _Opener(made, **how)
    source, digest = opener.open(spec), str(made["digest"])
    if "test_share" in source.asked and not source.is_that_of(digest):
        if opener.share is None:
            raise UsageError(
                f"{source.where}: has no test split, and is not what the file was made from; "
                "test on data with a test split, or hold one out with `test_share`"
            )
        _refuse_seen(spec, source, digest, opener.share)
        if opener.say is not None:
            opener.say(
                f"{source.where}: is not what the file was made from; make sure that the file has "
                "not learned from the share that is held out"
            )
    return in_order(source, classes)


def _refuse_seen(
    spec: str | os.PathLike[str], source: Source, digest: str, share: float | None
) -> None:
    """Raise UsageError where a share is asked for of what the file has learned from as a whole."""
    if share is not None and load(spec, size=source.asked.get("size")).is_that_of(digest):
        raise UsageError(
            f"{source.where}: the file has learned from all of it, so a share of it tests nothing; "
            "encode with the same `test_share`"
        )


class _Opener:
    """Opens sources as a file's was: with what is asked for, else with what the file says."""

    def __init__(
        self,
        made: Mapping[str, Any],
        size: int | None = None,
        test_share: float | None = None,
        download: bool = False,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self.share, self.download, self.say = test_share, download, say
        self._size = size if size is not None else made.get("size")
        self._made_share = made.get("test_share")

    def open(self, spec: str | os.PathLike[str]) -> Source:
        source = self._load(spec, self.share)
        if self.share is None and self._made_share is not None and "test" not in source.splits:
            return self._load(spec, self._made_share)
        return source

    def _load(self, spec: str | os.PathLike[str], share: float | None) -> Source:
        return load(spec, size=self._size, test_share=share, download=self.download, say=self.say)
