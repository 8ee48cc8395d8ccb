"""Images of one row, one colour each, or blank among others, end in a file of finite numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ddcodec import encode, load, verify
from ddcodec.evaluate import train_students
from ddcodec.sources import Source, Split

NOISE = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
BLANK = np.zeros_like(NOISE)
ONE_BLANK = np.concatenate([NOISE[:5], BLANK[:1]])
ONE_COLOUR_EACH = np.broadcast_to(NOISE[:, :1, :1], NOISE.shape)


@pytest.mark.parametrize(
    ("codec", "images"),
    [
        ("podd", ONE_BLANK),
        ("podd", ONE_COLOUR_EACH),
        ("podd", NOISE[:, :1]),
        ("podd", NOISE[:, :, :1, :1]),
        ("ppodd", BLANK),
        ("ppodd", NOISE[:, :1, :1]),
    ],
    ids=["one blank", "one colour each", "one row", "a grey column", "blank", "one pixel"],
)
def test_degenerate_images_are_encoded_and_trained_on(
    codec: str, images: np.ndarray, tmp_path: Path
) -> None:
    split = Split(np.ascontiguousarray(images), np.arange(6) % 2)
    source = Source("odd", ("even", "odd"), {"train": lambda: split})
    options = {"stages": 2} if codec == "ppodd" else {"kernel_steps": 1}
    out = tmp_path / "a.ddset"
    encode(source, out, codec, ipc=2, profile="quick", steps=4, device="cpu", **options)
    assert verify(out) == []
    ds = load(out)
    assert all(image.isfinite().all() and label.isfinite().all() for image, label in ds)
    assert 0 <= train_students(ds, split, nets=1, steps=2, device="cpu").mean <= 1
