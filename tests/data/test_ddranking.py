"""Tensors for DD-Ranking: pixels, and labels whose softmax they are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from ddcodec import Unsupported, load, pack
from ddcodec.data import ddranking
from ddcodec.data.export import Decoded

RANDOM = np.random.default_rng(8)
IMAGES = RANDOM.integers(0, 256, (6, 3, 6, 5), dtype=np.uint8)
CLASSES = ("ant", "bee", "cat")
HARD = np.array([2, 0, 1, 0, 2, 1])
ORDER = [1, 3, 2, 5, 0, 4]
WHITENED = Path(__file__).parents[2] / "examples" / "results" / "cifar10-0.3.ddset"


def read(folder: Path) -> dict[str, torch.Tensor]:
    return {path.stem: torch.load(path, weights_only=True) for path in folder.glob("*.pt")}


def test_images_are_in_class_order_with_stored_bytes_as_shares_of_255(tmp_path: Path) -> None:
    pack(IMAGES, HARD, CLASSES, tmp_path / "x.ddset", chunk=4)
    folder = tmp_path / "out"
    folder.mkdir()
    assert ddranking.write(Decoded(tmp_path / "x.ddset"), folder) == [2, 2, 2]
    found = read(folder)
    assert set(found) == {"images", "soft_labels", "hard_labels", "lr"}
    assert torch.equal(found["images"], torch.from_numpy(IMAGES[ORDER]).float() / 255)
    assert found["hard_labels"].tolist() == [0, 0, 1, 1, 2, 2]
    assert found["hard_labels"].dtype == torch.int64
    # A share of 0 has no logarithm, and the package multiplies what it gets: finite, and still 0.
    assert found["soft_labels"].isfinite().all()
    assert torch.equal(found["soft_labels"].softmax(1), torch.eye(3)[found["hard_labels"]])


def test_a_softmax_gives_the_soft_labels_and_the_rate_is_the_recipes(
    digits_file: Path, tmp_path: Path
) -> None:
    counts = ddranking.write(Decoded(digits_file), tmp_path)
    found, ds = read(tmp_path), load(digits_file, raw=True)
    hard = ds.soft_labels.argmax(1)
    order = torch.argsort(hard, stable=True)
    assert counts == torch.bincount(hard, minlength=10).tolist()
    assert torch.allclose(found["soft_labels"].softmax(1), ds.soft_labels[order], atol=1e-6)
    assert torch.equal(found["hard_labels"], hard[order])
    for place, index in enumerate(order):
        assert torch.equal(found["images"][place], ds[int(index)][0])
    lr = ds.manifest.recipe["optimizer"]["lr"]
    assert (found["lr"].dim(), found["lr"].item()) == (0, pytest.approx(lr))
    assert json.loads((tmp_path / "manifest.json").read_text())["codec"]["name"] == "podd"


def test_whitening_is_undone(tmp_path: Path) -> None:
    ddranking.write(Decoded(WHITENED), tmp_path)
    images, ds = read(tmp_path)["images"], load(WHITENED)
    assert ds.manifest.image["preprocessing"]["kind"] == "conv_whiten"
    order = torch.argsort(ds.soft_labels.argmax(1), stable=True)
    # Whitened once more, pixels within 0 to 1 are what networks see, up to their 8 bits.
    assert 0 < images.mean() < 1
    pixels = (images.clamp(0, 1) * 255).round().to(torch.uint8)
    inside = ((images > 0) & (images < 1)).flatten(1).float().mean(1)
    seen = ds.preprocess(pixels)
    wanted = torch.stack([ds[int(index)][0] for index in order])
    best = int(inside.argmax())
    together = torch.corrcoef(torch.stack([seen[best].flatten(), wanted[best].flatten()]))
    assert together[0, 1] > 0.9


def test_more_than_a_tensor_may_hold_is_refused_with_a_way_out(
    digits_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ddranking, "MOST_BYTES", 100)
    with pytest.raises(Unsupported, match="decode to npz"):
        ddranking.write(Decoded(digits_file), tmp_path)
    assert list(tmp_path.iterdir()) == []
