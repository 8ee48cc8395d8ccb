"""``verify``: is this file valid? A list of numbered findings, empty where it is."""

from __future__ import annotations

import os
from dataclasses import dataclass

from ..errors import InvalidFile
from ..limits import Limits
from .container import read


@dataclass(frozen=True)
class Finding:
    """One broken rule: its code (``format.codes``), what was found, and in which file."""

    code: str
    message: str
    where: str


def verify(source: str | os.PathLike[str] | bytes, limits: Limits = Limits()) -> list[Finding]:
    """Check every rule and every digest of a file; return what is wrong with it.

    ``source`` is a path, or the bytes themselves, for which findings name no place.

    Raises Unsupported for a version or codec that only a later version knows, SourceError where
    the file cannot be opened.
    """
    try:
        read(source, check=True, limits=limits)
    except InvalidFile as error:
        where = "" if isinstance(source, bytes) else os.fspath(source)
        return [Finding(error.code, str(error), where)]
    return []
