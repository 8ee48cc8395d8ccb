"""A file of the codec lic in the rest of the package: streamed, exported, drawn, told about."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import ddcodec
from ddcodec.data.chunked import ChunkedDataset
from ddcodec.data.export import Decoded, write_npz
from ddcodec.format import Storage, write
from ddcodec.inspection.preview import render
from tests.helpers.lic_files import lic_arrays, lic_manifest


@pytest.fixture(params=["logits", "top", "index"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Seven mosaics of 2x2 cells in chunks of three."""
    manifest = lic_manifest(request.param)
    arrays = lic_arrays(manifest, 7)
    write(tmp_path / "x.ddset", manifest, arrays, {name: Storage(chunk=3) for name in arrays})
    return tmp_path / "x.ddset"


def test_a_stream_gives_the_samples_of_the_file(path: Path) -> None:
    ds = ddcodec.load(path)
    stream = ChunkedDataset(path, 4, shuffle=False)
    assert stream.count == len(ds) == 35
    images, labels = (torch.cat(parts) for parts in zip(*stream, strict=True))
    assert torch.equal(labels, ds.soft_labels)
    assert torch.equal(images, torch.stack([image for image, _ in ds]))
    shuffled = ChunkedDataset(path, 4, buffer=1, seed=2)
    mixed = torch.cat([part for part, _ in shuffled])
    assert not torch.equal(mixed, images)
    assert torch.equal(
        torch.sort(mixed.flatten(1).sum(1)).values, torch.sort(images.flatten(1).sum(1)).values
    )


def test_raw_and_hard_streams_give_bytes_and_indices(path: Path) -> None:
    ds = ddcodec.load(path, raw=True, hard_labels=True)
    images, labels = (
        torch.cat(parts)
        for parts in zip(
            *ChunkedDataset(path, 5, shuffle=False, raw=True, hard_labels=True), strict=True
        )
    )
    assert images.dtype == torch.uint8
    assert torch.equal(images, torch.stack([image for image, _ in ds]))
    assert torch.equal(labels, ds.soft_labels.argmax(1))


def test_regions_are_exported_as_they_are(path: Path, tmp_path: Path) -> None:
    decoded = Decoded(path)
    assert (decoded.count, decoded.rounded) == (35, False)
    write_npz(decoded, tmp_path)
    ds = ddcodec.load(path)
    with np.load(tmp_path / "data.npz") as found:
        assert np.array_equal(found["labels"], ds.soft_labels.numpy())
        assert np.array_equal(found["images"], torch.stack([image for image, _ in ds]).numpy())
        assert found["train_images"].shape == (35, 6, 8, 3)


def test_info_counts_mosaics_and_the_bytes_of_labels(path: Path) -> None:
    facts = ddcodec.info(path)
    assert facts["mosaics"] == {"count": 7, "cells": [2, 2], "regions": 5}
    assert facts["pixels"] == 7 * 48
    tensors = facts["bytes"]["tensors"]
    assert facts["bytes"]["labels"] == sum(tensors.values()) - tensors["images"]


def test_the_picture_shows_the_mosaics(path: Path) -> None:
    picture = render(ddcodec.load(path))
    assert picture.width == 1600
