"""Random images with an observer's labels: counted in bytes, learned like a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import zstandard

from ddcodec import DistilledDataset, UsageError
from ddcodec.coresets.budgets import shrink
from ddcodec.coresets.draws import images_by_class, random_draw
from ddcodec.evaluate.measure import protocol
from ddcodec.evaluate.soft_baselines import Labeller, random_images_with_observer
from ddcodec.observers.file import Trained
from ddcodec.observers.file import load as load_observer
from ddcodec.sources import Source


def test_labels_are_those_of_the_observer_in_the_symbols_of_a_file(
    digits: Source, observer_file: Path
) -> None:
    teacher: Trained = load_observer(observer_file)
    labeller = Labeller(teacher, 10, 2.0)
    images = digits.train.images[:50]
    with torch.no_grad():
        wanted = torch.softmax(teacher.network(teacher.preprocess(images)) / 2, 1)
    found = labeller.soft(images)
    assert np.abs(found - wanted.numpy()).max() < 0.02
    assert labeller.symbols(images).min(axis=-1).max() == 0


def test_the_bytes_are_those_of_images_and_labels_and_fit(
    lic_file: DistilledDataset, digits: Source, observer_file: Path
) -> None:
    teacher, by_class = load_observer(observer_file), images_by_class(digits)
    trial = protocol(lic_file, digits.require_test(), nets=2, steps=40, device="cpu")
    total = lic_file.file.sizes.total
    entry = random_images_with_observer(trial, lic_file, by_class, teacher, total)
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
        random_images_with_observer(trial, lic_file, by_class, other, total)
