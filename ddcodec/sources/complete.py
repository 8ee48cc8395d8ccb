"""What shows that a data set has not come whole: gaps in its shards, and what downloads leave."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..errors import SourceError

UNFINISHED = (
    *(".part", ".partial", ".crdownload", ".incomplete", ".aria2", ".download", ".opdownload"),
    *(".filepart", ".!ut", ".!qb"),
)
POINTER = b"version https://git-lfs"
# train-00003-of-00007-0123456789abcdef and train-000003, without suffixes.
OF = re.compile(r"(.*?)(\d+)[-_]of[-_](\d+)(?:-[0-9a-f]+)?")
NUMBERED = re.compile(r"(.*?)(\d+)")


def is_unfinished(path: Path) -> bool:
    """Say whether a file is called as programs call what they have not yet fetched whole."""
    return path.name.lower().endswith(UNFINISHED)


def require_finished(path: Path) -> None:
    """Raise SourceError where an unfinished download lies in a folder, or beside a file."""
    if path.is_dir():
        inside = list(path.iterdir())
        # Where huggingface_hub keeps what is still to come.
        inside += (path / ".cache" / "huggingface" / "download").rglob("*.incomplete")
        left = sorted(entry for entry in inside if is_unfinished(entry))
    else:
        left = [
            beside for end in UNFINISHED if (beside := path.with_name(path.name + end)).exists()
        ]
        left += [path] if is_unfinished(path) else []
    if left:
        raise SourceError(
            f"{left[0]}: is an unfinished download; finish it, or remove it if it is a left-over"
        )


def require_content(files: Iterable[Path]) -> None:
    """Raise SourceError for an empty file, or one that only points to its content."""
    for path in files:
        with path.open("rb") as file:
            start = file.read(len(POINTER))
        if not start:
            raise SourceError(f"{path}: is empty; fetch it again")
        if start == POINTER:
            raise SourceError(f"{path}: is a Git LFS pointer, not the file; run `git lfs pull`")


def require_all(shards: Sequence[Path]) -> None:
    """Raise SourceError where shards are empty, where one is missing, or where two sets are mixed.

    Names like ``a-00003-of-00007`` say how many there are; others are numbered from 0 or 1 without
    a gap. A last one that is missing shows only where the names tell.
    """
    require_content(shards)
    groups: dict[tuple[str, str], dict[int, Path]] = defaultdict(dict)
    for path in shards:
        stem = path.name.partition(".")[0]
        if found := OF.fullmatch(stem):
            groups[found[1], found[3]][int(found[2])] = path
        elif found := NUMBERED.fullmatch(stem):
            groups[found[1], ""][int(found[2])] = path
    for (head, of), there in groups.items():
        first = min(there.values(), key=lambda path: len(path.name))
        other = next((o for h, o in groups if h == head and o != of), None)
        if other is not None:
            raise SourceError(f"{first.parent}: {head}... mixes two sets of shards; keep one")
        if of:
            start = 0 if 0 in there or int(of) not in there else 1
            wanted = range(start, start + int(of))
        elif len(there) > 1:
            # The hub counts from 0000; others from 0 or from 1.
            converted = not head and first.suffix == ".parquet"
            wanted = range(0 if converted else min(1, *there), max(there) + 1)
        else:
            continue
        lacking = [number for number in wanted if number not in there]
        if lacking:
            example = first.name.replace(re.findall(r"\d+", first.name[len(head) :])[0],
                                         f"{lacking[0]:0{_width(first, head)}d}", 1)  # fmt: skip
            more = f" and {len(lacking) - 1:,} more" if len(lacking) > 1 else ""
            raise SourceError(
                f"{first.parent}: lacks {example}{more} of the shards {head}...; fetch the rest"
            )


def _width(path: Path, head: str) -> int:
    return len(re.findall(r"\d+", path.name[len(head) :])[0])
