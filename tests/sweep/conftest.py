"""Sweeps in few steps."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def few_steps() -> Iterator[None]:
    """Networks beside the files learn for a moment only: sweeps are tested here, not networks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ddcodec.evaluate.quantised.MOST_STEPS", 4)
        patch.setattr("ddcodec.evaluate.baselines.FULL_STEPS", 20)
        yield
