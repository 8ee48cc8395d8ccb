"""``verify``: is this file valid? A list of numbered findings, empty where it is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ..errors import InvalidFile, LimitExceeded
from ..format.chunks import ChunkReader
from ..format.container import read
from ..format.header import check_sizes
from ..hub import local
from ..limits import Limits


@dataclass(frozen=True)
class Finding:
    """One broken rule: its code (specification, section 13), what was found, and in which file."""

    code: str
    message: str
    where: str


def verify(source: str | os.PathLike[str] | bytes, limits: Limits = Limits()) -> list[Finding]:
    """Check every rule and every digest of a file; return what is wrong with it.

    ``source`` is a path, an address on the hub, or the bytes themselves, for which findings name no
    place. A file is read chunk by chunk; what is too large for ``read`` under ``limits`` is a
    finding here too.

    Raises Unsupported for a version or codec that only a later version knows, SourceError where
    the file cannot be opened.
    """
    try:
        place = source if isinstance(source, bytes) else local(source, limits)
        if isinstance(place, bytes) or not Path(place).is_file():
            read(place, check=True, limits=limits)
        else:
            with ChunkReader(place, limits=limits) as reader:
                size = reader.sizes.total
                if size > limits.file_bytes:
                    raise LimitExceeded(
                        f"{reader.path}: {size} bytes, the limit is {limits.file_bytes}", "DDS-E001"
                    )
                check_sizes(reader.manifest, limits)
                reader.check_data()
                reader.check_content()
    except InvalidFile as error:
        where = "" if isinstance(source, bytes) else os.fspath(source)
        return [Finding(error.code, str(error), where)]
    return []
