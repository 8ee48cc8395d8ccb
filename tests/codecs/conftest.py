"""The models of D3M, loaded once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ddcodec.priors.model import Prior


@pytest.fixture(scope="session")
def prior(prior_folder: Path) -> Prior:
    from ddcodec.priors.folder import find
    from ddcodec.priors.model import load

    return load(find(prior_folder), "cpu")
