"""What takes long to make is made once a run, whichever worker needs it first."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return the file or folder ``name``, which ``make`` has written, here or in another worker.

    Workers of pytest-xdist have temporary folders beside each other; what they share lies there.
    Nobody may change it.
    """
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    folder = root / "made-once" / name.replace("/", "-")
    folder.mkdir(parents=True, exist_ok=True)
    path, done = folder / name.rpartition("/")[2], folder / ".done"
    with FileLock(folder / ".lock"):
        if not done.exists():
            make(path)
            done.touch()
    return path
