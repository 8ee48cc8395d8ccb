"""Sweeps in few steps."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def few_steps() -> Iterator[None]:
    """A quantised network learns for a moment only: sweeps are tested here, not networks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ddcodec.evaluate.quantised.MOST_STEPS", 4)
        yield
