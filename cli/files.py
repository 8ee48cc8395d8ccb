"""Files that are read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ddcodec.errors import DDSetError


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Make every error about a ``.ddset`` file name it: readers see bytes, people see files."""
    try:
        yield
    except DDSetError as problem:
        if str(path) not in str(problem):
            problem.args = (f"{path}: {problem}",)
        raise
