"""Networks that stand beside a file, in few steps: for tests that are not about what they learn."""

from __future__ import annotations

import pytest


def learn_briefly(patch: pytest.MonkeyPatch) -> None:
    """In this process quantised networks take 4 steps, those of all training images 20."""
    patch.setattr("ddcodec.evaluate.quantised.MOST_STEPS", 4)
    patch.setattr("ddcodec.evaluate.baselines.FULL_STEPS", 20)
