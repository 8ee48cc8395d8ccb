"""Students of a file whose network labels every view, and what stands beside them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import zstandard

from ddcodec import DistilledDataset
from ddcodec.coresets.draws import images_by_class, random_draw
from ddcodec.evaluate.baselines import baselines, with_file_network
from ddcodec.evaluate.live import own_labels, used_directly
from ddcodec.evaluate.measure import on_file, protocol
from ddcodec.evaluate.scores import score
from ddcodec.judge.trial import Trial
from ddcodec.observers.file import load as load_observer
from ddcodec.sources import Source


def trial_of(ds: DistilledDataset, source: Source, steps: int = 3, nets: int = 1) -> Trial:
    return protocol(ds, source.require_test(), nets=nets, steps=steps, device="cpu")


def test_students_learn_the_labels_of_the_views(
    live_file: DistilledDataset, digits: Source
) -> None:
    trial = trial_of(live_file, digits, steps=60)
    live = on_file(live_file, trial)
    assert live.per_net == on_file(live_file, trial).per_net
    assert live.mean > 0.5
    stored = on_file(live_file, trial, "stored labels", live_file.soft_labels)
    assert stored.per_net != live.per_net
    plain = replace(trial, recipe=replace(trial.recipe, augment="none"))
    exact = on_file(live_file, plain, "as they are", live_file.soft_labels)
    assert on_file(live_file, plain).per_net == exact.per_net


def test_the_network_is_measured_without_a_student(
    live_file: DistilledDataset, lic_file: DistilledDataset, digits: Source, observer_file: Path
) -> None:
    trial = trial_of(live_file, digits)
    found, test = used_directly(live_file, trial), digits.require_test()
    observer = load_observer(observer_file)
    logits = observer.logits(torch.from_numpy(test.images[:]).permute(0, 3, 1, 2))
    known = float((logits.argmax(1).numpy() == test.labels).mean())
    assert found == pytest.approx(known, abs=0.01)
    assert used_directly(lic_file, trial_of(lic_file, digits)) is None


def test_other_images_are_labelled_as_the_file_labels_its_own(
    live_file: DistilledDataset, lic_file: DistilledDataset
) -> None:
    own = own_labels(live_file, torch.device("cpu"))
    assert own is not None
    images = live_file.file.arrays["images"][:4].transpose(0, 2, 3, 1)
    assert np.abs(own.soft(images) - live_file.soft_labels[:4].numpy()).max() < 0.02
    assert own_labels(lic_file, torch.device("cpu")) is None


@pytest.mark.parametrize("equal", ["pixels", "bytes"])
def test_random_images_get_labels_of_the_same_network(
    live_file: DistilledDataset, digits: Source, equal: str
) -> None:
    trial = trial_of(live_file, digits)
    found = score(trial, live_file, digits, equal=equal, full_steps=1)
    assert found["random"]["labels"] == "file"
    assert found["augment"] == "views_upright"
    assert any("labels of the file's network" in name for name in trial.scores)
    sizes = live_file.file.sizes
    network = sizes.tensors["label_weights"] + sizes.tensors["label_affine"]
    images = random_draw(images_by_class(digits), 0)(found["random"]["images_per_class"], 0)
    coded = len(zstandard.ZstdCompressor(level=19).compress(images.tobytes()))
    assert found["random"]["bytes"] == network + coded
    if equal == "bytes":  # as many as the baseline has
        assert sizes.total - 200 < found["random"]["bytes"] <= sizes.total


def test_an_observer_that_is_named_comes_first(
    live_file: DistilledDataset, digits: Source, observer_file: Path
) -> None:
    observer = load_observer(observer_file)
    trial = trial_of(live_file, digits, steps=1)
    found = score(trial, live_file, digits, observer=observer, full_steps=1)
    assert found["random"]["labels"] == "observer"


def test_random_images_in_the_bytes_beside_the_network(
    live_file: DistilledDataset, digits: Source
) -> None:
    trial, by_class = trial_of(live_file, digits, steps=40), images_by_class(digits)
    own = own_labels(live_file, trial.device)
    assert own is not None
    entry = with_file_network("random", trial, live_file, by_class, own)
    total = live_file.file.sizes.total
    assert total - 200 < entry["bytes"] <= total
    assert entry["accuracy_mean"] > 0.3
    images = random_draw(by_class, 0)(entry["images_per_class"], 0)
    coded = len(zstandard.ZstdCompressor(level=19).compress(images.tobytes()))
    sizes = live_file.file.sizes.tensors
    assert entry["bytes"] == coded + sizes["label_weights"] + sizes["label_affine"]


@pytest.mark.slow
def test_they_are_a_row_among_the_baselines(live_file: DistilledDataset, digits: Source) -> None:
    found = baselines(trial_of(live_file, digits, steps=2), live_file, digits, full_steps=1)
    assert found["random_images_file_network"]["bytes"] <= live_file.file.sizes.total
