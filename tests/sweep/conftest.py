"""Sweeps in few steps."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.helpers.few_steps import learn_briefly


@pytest.fixture(scope="module", autouse=True)
def few_steps() -> Iterator[None]:
    """Networks beside the files learn for a moment only: sweeps are tested here, not networks."""
    with pytest.MonkeyPatch.context() as patch:
        learn_briefly(patch)
        yield
