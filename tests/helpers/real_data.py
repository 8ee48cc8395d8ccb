"""The real data sets, where they are beside the repository."""

from __future__ import annotations

from pathlib import Path

import pytest

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def real_data(name: str) -> Path:
    """Return the folder of a real data set, or skip the test where it is not at hand."""
    if not (DATA / name).is_dir():
        pytest.skip(f"{name} is not beside the repository")
    pytest.importorskip("pyarrow")
    return DATA / name
