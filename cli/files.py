"""Files that are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ddcodec.errors import DDSetError
from ddcodec.hub import is_address, local


def kept_beside(file: str, place: Path) -> Path:
    """Return the file beside which finished work on ``file`` is kept, which lies at ``place``.

    That is not the hub's cache: a name in the current folder takes its place.
    """
    return Path(place.name) if is_address(file) else place


@contextmanager
def reading(file: str) -> Iterator[Path]:
    """Give the place of a ``.ddset`` file, which is fetched where ``file`` is its address.

    Every error names the file as the caller did: readers see bytes, people see files.
    """
    place = Path(file)
    try:
        place = Path(local(file))
        yield place
    except DDSetError as problem:
        said = str(problem)
        if is_address(file) and place != Path(file):
            said = said.replace(str(place), file)
        if file not in said and str(place) not in said:
            said = f"{file}: {said}"
        problem.args = (said,)
        raise


@contextmanager
def reading_all(files: Sequence[str]) -> Iterator[list[Path]]:
    """Give the places of several files; errors that name one of them name it as the caller did."""
    places = []
    for file in files:
        with reading(file) as place:
            places.append(place)
    try:
        yield places
    except DDSetError as problem:
        said = str(problem)
        for file, place in zip(files, places, strict=True):
            said = said.replace(str(place), file) if is_address(file) else said
        problem.args = (said,)
        raise
