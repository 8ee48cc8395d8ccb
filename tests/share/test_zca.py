"""ZCA there and back, in both variants, and which space fits a set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ddcodec import UsageError, load
from ddcodec.codecs.options import Common
from ddcodec.share import zca
from ddcodec.share.choosing import Fit, chosen, verdict
from ddcodec.share.importing import import_set
from ddcodec.share.options import Import
from ddcodec.share.spaces import means_of
from ddcodec.sources import Source
from tests.helpers.published_sets import real


def written_out(variant: str, images: np.ndarray) -> np.ndarray:
    """The images (N, H, W, C) whitened by themselves, as the published code does it."""
    count = len(images)
    if variant == "kornia":
        rows = images.transpose(0, 3, 1, 2).reshape(count, -1) / 255
        rows = rows - rows.mean(0)
        values, vectors = np.linalg.eigh(rows.T @ rows / count)
        white = rows @ vectors @ np.diag((values + 0.1) ** -0.5) @ vectors.T
        return white.reshape(count, *images.shape[3:], *images.shape[1:3])
    rows = images.reshape(count, -1).astype(float)
    rows = rows - rows.mean(1, keepdims=True)
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    values, vectors = np.linalg.eigh(rows.T @ rows / count)
    spread = np.sqrt(values + 0.1 * values.sum() / len(values))
    white = rows @ vectors @ np.diag(1 / spread) @ vectors.T
    return white.reshape(images.shape).transpose(0, 3, 1, 2)


@pytest.mark.parametrize("variant", zca.VARIANTS)
@pytest.mark.parametrize("channels", [1, 3])
def test_whitening_is_that_of_the_published_code_and_can_be_undone(
    digits: Source, variant: str, channels: int
) -> None:
    images = digits.train.images[:500]
    if channels == 3:  # shifted against each other, so that flattening in another order shows
        images = np.concatenate([np.roll(images, k, axis=k % 2 + 1) for k in range(3)], 3)
    found = zca.fitted(variant, images)
    white = found.forward(images)
    assert white.shape == (500, channels, 8, 8)
    assert np.allclose(white, written_out(variant, images), atol=2e-3)
    back = found.back(white)
    if variant == "kornia":
        assert np.allclose(back, images.transpose(0, 3, 1, 2) / 255, atol=1e-3)
    else:
        rows = images.transpose(0, 3, 1, 2).reshape(500, -1).astype(float)
        rows = rows - rows.mean(1, keepdims=True)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        assert np.allclose(back.reshape(500, -1), rows, atol=1e-3)


def test_large_images_have_no_matrix() -> None:
    with pytest.raises(UsageError, match="up to 3072 values"):
        zca.fitted("kornia", np.zeros((4, 64, 64, 3), np.uint8))


@pytest.mark.parametrize("variant", zca.VARIANTS)
def test_a_whitened_set_is_recognised_and_keeps_its_pixels(
    tmp_path: Path, digits: Source, variant: str
) -> None:
    images, labels = real(3)
    pixels = np.rint(images.transpose(0, 2, 3, 1) * 255).astype(np.uint8)
    white = zca.fitted(variant, digits.train.images).forward(pixels)
    path, out = tmp_path / "images_best.pt", tmp_path / "a.ddset"
    torch.save(torch.from_numpy(white), path)
    torch.save(torch.from_numpy(labels), tmp_path / "labels_best.pt")
    # The variant that is usual in this layout is found, the other one has to be named.
    space = None if variant == "kornia" else "zca-podd"
    options = Import(source="digits", space=space, trials=1, steps=25, quality="lossless")
    result = import_set(path, out, options, Common(device="cpu"))
    assert result.space == f"zca-{variant}"
    if space is None:
        found = {fit.name: fit.accuracy for fit in result.fits}
        assert found["zca-kornia"] > found["pixels"]
    assert result.change is not None
    ds = load(out)
    assert ds.manifest.image["preprocessing"]["kind"] == "conv_whiten"
    stored = torch.stack([x for x, _ in ds])
    # The same images, whitened from bytes as the file says: only the rounding of bytes differs.
    assert torch.allclose(stored, ds.preprocess(pixels), atol=0.05)


def test_of_spaces_that_fit_alike_the_usual_one_is_taken_and_the_other_named() -> None:
    scores = [Fit("pixels", 0.3), Fit("zca-kornia", 0.29), Fit("zca-podd", 0.2)]
    assert chosen(scores, "zca-kornia") is scores[1]
    assert chosen(scores, "zca-podd") is scores[0]
    apart = "space: pixels fits, 30.0 % beside zca-podd 20.0 %"
    assert verdict([scores[0], scores[2]], scores[0]) == apart
    said = verdict(scores, scores[0])
    assert said.endswith("; zca-kornia as well, so say `space` if you know it")


def test_means_are_named_or_written_out() -> None:
    assert means_of("cifar10", None, 3)[1][1] == (0.2023, 0.1994, 0.2010)
    assert means_of("0.5/.25", None, 1) == ("0.5/.25", ((0.5,), (0.25,)))
    for wrong in ("cifar", "0.5", "0.5,0.5/1", "1/0", "a/b", "1/1/1", "/"):
        with pytest.raises(UsageError, match="means"):
            means_of(wrong, None, 1)


def test_a_whitened_poster_keeps_the_pixels_of_its_patches(tmp_path: Path, digits: Source) -> None:
    images, _ = real(1)
    pixels = np.rint(images.transpose(0, 2, 3, 1) * 255).astype(np.uint8)
    white = zca.fitted("podd", digits.train.images).forward(pixels)[:, 0]
    rows = [np.concatenate(list(white[first : first + 5]), 1) for first in (0, 5)]
    poster = torch.from_numpy(np.concatenate(rows, 0))[None, None]
    torch.save(poster, tmp_path / "3_poster.pt")
    torch.save(torch.eye(10).reshape(2, 5, 10).permute(2, 0, 1)[None], tmp_path / "3_label.pt")
    options = Import(
        source="digits", space="zca", trials=1, steps=5, patches=(5, 2), quality="lossless"
    )
    out = tmp_path / "a.ddset"
    result = import_set(tmp_path / "3_poster.pt", out, options, Common(device="cpu"))
    assert result.space == "zca-podd"
    ds = load(out)
    assert ds.manifest.codec["name"] == "podd"
    classes = ds.soft_labels.argmax(1)
    stored = torch.stack([x for x, _ in ds])
    assert torch.allclose(stored, ds.preprocess(pixels)[classes], atol=0.05)
