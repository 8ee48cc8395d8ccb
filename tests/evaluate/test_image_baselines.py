"""Random real images as image files: the bytes they keep to, and how well they teach."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ddcodec import DistilledDataset, encode, load
from ddcodec.coresets.budgets import shrink
from ddcodec.coresets.draws import images_by_class
from ddcodec.coresets.sheets import FORMATS, HIGHEST, ImageFormat, can_write, stored_bytes
from ddcodec.evaluate.image_baselines import image_baseline
from ddcodec.evaluate.measure import protocol
from ddcodec.judge.trial import Trial
from ddcodec.sources import Source

WRITABLE = [kind for kind in FORMATS if can_write(kind.name)]


@pytest.fixture(params=WRITABLE, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> ImageFormat:
    found: ImageFormat = request.param
    return found


@pytest.fixture(scope="module")
def ds(tmp_path_factory: pytest.TempPathFactory, digits: Source) -> DistilledDataset:
    path: Path = tmp_path_factory.mktemp("digits") / "digits.ddset"
    encode(digits, ipc=0.9, out=path, steps=2, device="cpu")
    return load(path)


@pytest.fixture(scope="module")
def trial(ds: DistilledDataset, digits: Source) -> Trial:
    test = digits.require_test()
    return protocol(ds, test, nets=2, steps=40, device="cpu")


def test_the_bytes_of_the_file_are_kept_and_used(
    kind: ImageFormat, ds: DistilledDataset, digits: Source, trial: Trial
) -> None:
    total = ds.file.sizes.total
    entry = image_baseline(trial, ds, images_by_class(digits), kind, total)
    assert entry is not None
    assert 0.8 * total < entry["bytes"] <= total
    assert kind.lowest <= entry["quality"][0] <= entry["quality"][1] <= HIGHEST
    assert entry["stored_size"] == [8, 8]
    assert entry["pixels"] == 10 * 64 * entry["images_per_class"]
    assert len(entry["per_net"]) == 2
    assert entry["accuracy_mean"] > 0.5
    assert entry == image_baseline(trial, ds, images_by_class(digits), kind, total)


def test_few_bytes_shrink_one_image_a_class(
    kind: ImageFormat, ds: DistilledDataset, digits: Source, trial: Trial
) -> None:
    by_class = images_by_class(digits)
    one = np.stack([group[0] for group in by_class])
    total = stored_bytes(shrink(one, (1, 1)), 10, kind, kind.lowest) + 20
    entry = image_baseline(trial, ds, by_class, kind, total)
    assert entry is not None
    assert entry["images_per_class"] == 1
    assert entry["stored_size"][0] < 8
    assert entry["bytes"] <= total


def test_bytes_for_no_pixel_at_all_give_none(
    kind: ImageFormat, ds: DistilledDataset, digits: Source, trial: Trial
) -> None:
    assert image_baseline(trial, ds, images_by_class(digits), kind, 20) is None
