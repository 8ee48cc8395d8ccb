"""A gathered batch goes through a DataLoader without being taken apart."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.utils.data import ConcatDataset, DataLoader, Subset, default_collate

from ddcodec import load
from ddcodec.data.block import Block, Sample

IMAGES = torch.arange(24.0).view(4, 1, 2, 3)
LABELS = torch.eye(4)


def test_a_block_is_a_sequence_of_pairs() -> None:
    block = Block(IMAGES, LABELS)
    assert len(block) == len(list(block)) == 4
    for i, (image, label) in enumerate(block):
        assert torch.equal(image, IMAGES[i])
        assert torch.equal(label, LABELS[i])
        assert torch.equal(block[i].image, image)
    assert torch.equal(block[-1].label, LABELS[3])
    assert torch.equal(block[1:3].images, IMAGES[1:3])
    with pytest.raises(IndexError):
        block[4]


def test_collation_gives_the_tensors_of_the_block_themselves() -> None:
    images, labels = default_collate(Block(IMAGES, LABELS))
    assert images is IMAGES
    assert labels is LABELS


def test_single_samples_are_stacked_as_tuples_are() -> None:
    samples = [Sample(IMAGES[i], LABELS[i]) for i in (2, 0)]
    found = default_collate(samples)
    expected = default_collate([tuple(sample) for sample in samples])
    assert type(found) is type(expected) is list
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_wrapped_data_sets_give_the_same_batches(digits_file: Path) -> None:
    ds = load(digits_file)
    for wrapped in (Subset(ds, range(18)), ConcatDataset([ds, ds])):
        images, labels = next(iter(DataLoader(wrapped, batch_size=18)))
        assert torch.equal(images, torch.stack([image for image, _ in ds]))
        assert torch.equal(labels, ds.soft_labels)


def test_changing_a_batch_leaves_the_data_set_as_it_was(digits_file: Path) -> None:
    ds = load(digits_file)
    first, labels = next(iter(DataLoader(ds, batch_size=18)))
    images = first.clone()
    first.zero_()
    labels.zero_()
    again, labels = next(iter(DataLoader(ds, batch_size=18)))
    assert torch.equal(again, images)
    assert torch.equal(labels, ds.soft_labels)
    assert float(ds.soft_labels.sum()) == pytest.approx(18)
