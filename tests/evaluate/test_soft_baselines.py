"""Random images with an observer's labels: counted in bytes, learned like a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import zstandard

from ddcodec import DistilledDataset, UsageError, encode, load
from ddcodec.evaluate.budgets import shrink
from ddcodec.evaluate.draws import images_by_class, random_draw
from ddcodec.evaluate.measure import protocol
from ddcodec.evaluate.soft_baselines import Labeller, random_images_with_observer
from ddcodec.observers.file import Trained
from ddcodec.observers.file import load as load_observer
from ddcodec.sources import Source


@pytest.fixture(scope="module")
def observer(observer_file: Path) -> Path:
    return observer_file


@pytest.fixture(scope="module")
def ds(
    tmp_path_factory: pytest.TempPathFactory, digits: Source, observer: Path
) -> DistilledDataset:
    out = tmp_path_factory.mktemp("lic") / "x.ddset"
    encode(digits, out, "lic", ipc=2, steps=2, observer=observer, device="cpu")
    return load(out)


def test_labels_are_those_of_the_observer_in_the_symbols_of_a_file(
    digits: Source, observer: Path
) -> None:
    teacher: Trained = load_observer(observer)
    labeller = Labeller(teacher, 10, 2.0)
    images = digits.train.images[:50]
    with torch.no_grad():
        wanted = torch.softmax(teacher.network(teacher.preprocess(images)) / 2, 1)
    found = labeller.soft(images)
    assert np.abs(found - wanted.numpy()).max() < 0.02
    assert labeller.symbols(images).min(axis=-1).max() == 0


def test_the_bytes_are_those_of_images_and_labels_and_fit(
    ds: DistilledDataset, digits: Source, observer: Path
) -> None:
    teacher, by_class = load_observer(observer), images_by_class(digits)
    trial = protocol(ds, digits.require_test(), nets=2, steps=40, device="cpu")
    total = ds.file.sizes.total
    entry = random_images_with_observer(trial, ds, by_class, teacher, total)
    coder = zstandard.ZstdCompressor(level=19)
    labeller = Labeller(teacher, 10, 2.0)

    def size(k: int, student: int) -> int:
        images = shrink(random_draw(by_class, 0)(k, student), (8, 8))
        parts = images.tobytes(), labeller.symbols(images).tobytes()
        return sum(len(coder.compress(part)) for part in parts)

    k = entry["images_per_class"]
    assert entry["bytes"] == max(size(k, 0), size(k, 1)) <= total
    assert size(k + 1, 0) > total
    assert entry["accuracy_mean"] > 0.3  # ten classes
    other = replace(teacher, description=replace(teacher.description, classes=("a",)))
    with pytest.raises(UsageError, match="classes"):
        random_images_with_observer(trial, ds, by_class, other, total)
