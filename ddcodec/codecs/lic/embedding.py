"""Labels or the network that gives them: which takes fewer bytes in a file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
import zstandard
from numpy.typing import NDArray

from ...format.payload import little_endian
from ...observers.file import Trained
from ..shared.groups import Group, Parts
from ..shared.mosaic import Mosaic
from .decode import all_regions
from .teacher import can_embed, embed

LEVEL = 19  # of zstd, for all that a file of this codec holds
LOOKED_AT = 8  # groups, and mosaics of each, that show the teacher the range of its values
LABELS = ("labels", "label_classes")


def embedded(
    observer: Trained, parts: Parts, groups: int, geometry: Mosaic
) -> tuple[dict[str, NDArray[Any]], float]:
    """Return the tensors of an observer in integers, and its scale (see ``teacher.embed``)."""
    numbers = sorted({i * groups // LOOKED_AT for i in range(LOOKED_AT)})
    shown = [torch.from_numpy(parts.load(number)["images"][:LOOKED_AT]) for number in numbers]
    return embed(observer, all_regions(torch.cat(shown), geometry))


def coded_bytes(arrays: Iterable[NDArray[Any]]) -> int:
    """Return the bytes of arrays in a file, each a piece of its own."""
    coder = zstandard.ZstdCompressor(level=LEVEL, write_content_size=True)
    return sum(len(coder.compress(little_endian(array))) for array in arrays)


def stored_labels(groups: Iterable[Group]) -> int:
    """Return the bytes of the labels of finished groups, each a chunk."""
    return coded_bytes(group[name] for group in groups for name in LABELS if name in group)


def comparison(
    observer: Trained, parts: Parts, groups: int, geometry: Mosaic, taken: str, size: int
) -> str | None:
    """Return a line for people: the other way to keep soft labels, and whether it is smaller.

    Args:
        observer, parts, groups, geometry: of the encode.
        taken: kind of the labels in the file; size: their bytes in it.

    None where there is no other way: of an observer that a file cannot hold, of no soft labels.
    """
    if taken == "index" or not can_embed(observer.description.architecture):
        return None
    if taken == "teacher":
        stored = stored_labels(parts.each(groups))
        teacher = size
        other = "--labels auto"
    else:
        stored = size
        teacher = coded_bytes(embedded(observer, parts, groups, geometry)[0].values())
        other = "--labels embed-teacher"
    smaller = teacher if taken == "teacher" else stored
    verdict = (
        "the smaller of both"
        if smaller <= min(stored, teacher)
        else f"{other} makes the file {abs(stored - teacher):,} bytes smaller"
    )
    own = "the teacher" if taken == "teacher" else "stored soft labels"
    rest = "stored soft labels" if taken == "teacher" else "the teacher itself"
    return f"labels: {own} {size:,} bytes, {rest} {stored + teacher - size:,}; {verdict}"
