"""Real images that are easy to tell apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ddcodec import DistilledDataset, encode, load
from ddcodec.sources import Source, Split
from tests.helpers.live_sets import live_set


def lines(per_class: int = 16, noise: float = 12.0) -> Source:
    """One bright row against one bright column: shape alone tells them apart."""
    random = np.random.default_rng(7)

    def split() -> Split:
        labels = np.arange(2 * per_class) % 2
        images = np.full((2 * per_class, 8, 8), 40.0)
        images[labels == 0, 3] = 220
        images[labels == 1, :, 3] = 220
        noisy = np.clip(images + random.normal(0, noise, images.shape), 0, 255)
        return Split(noisy.astype(np.uint8)[..., None], labels.astype(np.int64))

    return Source("lines", ("row", "column"), {"train": split, "test": split})


@pytest.fixture(scope="session")
def rows_and_columns() -> Source:
    return lines()


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
