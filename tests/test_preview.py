"""The picture of a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ddcodec import load
from ddcodec.preview import WIDTH, render
from tests.format import vectors

KINDS = ["zstd-8-bits", "colour", "unicode", "many-classes", "one-class", "one-patch"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_has_a_picture(kind: str) -> None:
    picture = render(load(vectors.FOLDER / "valid" / f"podd-{kind}.ddset"))
    assert picture.mode == "RGB"
    assert picture.width == WIDTH
    colours = picture.getcolors(1 << 24)
    assert colours is not None
    assert len(colours) > 20


def test_the_picture_shows_the_poster(digits_file: Path) -> None:
    ds = load(digits_file)
    before = np.asarray(render(ds)).copy()
    assert np.array_equal(np.asarray(render(ds)), before)
    ds.file.arrays["poster"][...] = ds.file.arrays["poster"][:, ::-1]
    assert not np.array_equal(np.asarray(render(ds)), before)
