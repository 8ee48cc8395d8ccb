"""Files whose labels are of an observer."""

from __future__ import annotations

from pathlib import Path

import pytest

from ddcodec import DistilledDataset, encode, load
from ddcodec.sources import Source
from tests.helpers.live_sets import live_set


@pytest.fixture(scope="session")
def lic_file(
    tmp_path_factory: pytest.TempPathFactory, digits: Source, observer_file: Path
) -> DistilledDataset:
    """Images with the labels of an observer."""
    out = tmp_path_factory.mktemp("lic") / "x.ddset"
    encode(digits, out, "lic", ipc=2, steps=2, observer=observer_file, device="cpu")
    return load(out)


@pytest.fixture(scope="session")
def live_file(
    tmp_path_factory: pytest.TempPathFactory, digits: Source, observer_file: Path
) -> DistilledDataset:
    """The same, labelled by a network that stays to label every view."""
    return live_set(digits, observer_file, tmp_path_factory.mktemp("live") / "x.ddset")
