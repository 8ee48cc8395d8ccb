"""Where a file is that was named by a path, or by its address on the hub."""

from __future__ import annotations

import os

from ..errors import UsageError
from ..limits import Limits
from .address import FORM, is_address, parse


def local(path: str | os.PathLike[str], limits: Limits = Limits()) -> str | os.PathLike[str]:
    """Return where a file is on this machine: ``path`` as it is, or an address's cached copy.

    A copy that is missing or old is fetched, no more than ``limits.file_bytes`` of it, and a digest
    in the address is compared. Raises UsageError for a malformed address, SourceError for whatever
    the network or the hub does, and for another digest; LimitExceeded for too large a file,
    MissingExtra without huggingface_hub.
    """
    if isinstance(path, str) and path.startswith(("https://", "http://")):
        raise UsageError(f"{path}: is an address on the web; fetch it first, or write {FORM}")
    if not is_address(path):
        return path
    from .fetch import fetch

    return fetch(parse(path), limits)
