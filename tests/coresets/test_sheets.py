"""Images as image files: sheets, and the bytes they keep to."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddcodec.coresets import sheets
from ddcodec.coresets.budgets import label_bytes
from ddcodec.coresets.draws import images_by_class, random_draw
from ddcodec.coresets.sheets import (
    FORMATS,
    HIGHEST,
    ImageFormat,
    at_best,
    can_write,
    fast_format,
    highest_quality,
    image_format,
    images_that_fit,
    layout,
    read_sheets,
    stored_bytes,
    write_sheets,
)
from ddcodec.sources import Source

WRITABLE = [kind for kind in FORMATS if can_write(kind.name)]


@pytest.fixture(params=WRITABLE, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> ImageFormat:
    found: ImageFormat = request.param
    return found


def smooth(count: int, height: int, width: int, channels: int) -> np.ndarray:
    """Images of a slope each, which every format keeps well."""
    rows, columns = np.mgrid[:height, :width]
    slopes = [40 + 5 * (i % 20) + 3 * rows + 2 * columns for i in range(count)]
    return np.repeat(np.clip(slopes, 0, 255).astype(np.uint8)[..., None], channels, axis=3)


@given(
    count=st.integers(1, 400),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
)
def test_every_image_lies_on_one_sheet(count: int, height: int, width: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sheets, "SHEET_SIDE", 100)
        found = list(layout((count, height, width, 3)))
    assert [start for start, *_ in found] == [0, *(stop for _, stop, *_ in found[:-1])]
    assert found[-1][1] == count
    for start, stop, columns, rows in found:
        assert stop - start <= columns * rows < stop - start + columns
        assert columns * width <= 100
        assert rows * height <= 100


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("count", [1, 7, 12])
def test_sheets_bring_every_image_back(kind: ImageFormat, count: int, channels: int) -> None:
    images = smooth(count, 16, 8, channels)
    back = read_sheets(write_sheets(images, kind, 90), images.shape)
    assert back.shape == images.shape
    assert np.abs(back.astype(int) - images).mean() < 4


def test_more_images_than_a_sheet_holds_take_several(
    kind: ImageFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sheets, "SHEET_SIDE", 32)
    images = smooth(9, 16, 16, 3)
    files = write_sheets(images, kind, 90)
    assert len(files) == 3
    back = read_sheets(files, images.shape)
    assert np.abs(back.astype(int) - images).mean() < 4


def test_the_highest_quality_that_fits_is_found(kind: ImageFormat, digits: Source) -> None:
    images = digits.train.images[:40]
    sizes = {q: stored_bytes(images, 10, kind, q) for q in range(kind.lowest, HIGHEST + 1)}
    for total in (sizes[kind.lowest], 1200, 1500, sizes[HIGHEST] + 1):
        quality = highest_quality(images, 10, kind, total)
        assert sizes[quality] <= total
        assert quality == HIGHEST or sizes[quality + 1] > total


def test_labels_are_counted(kind: ImageFormat) -> None:
    images = smooth(6, 8, 8, 1)
    (file,) = write_sheets(images, kind, 50)
    for classes in (2, 256, 257):
        assert stored_bytes(images, classes, kind, 50) == len(file) + 6 * label_bytes(classes)


def test_images_come_back_from_the_bytes_they_are_said_to_take(
    kind: ImageFormat, digits: Source
) -> None:
    images = digits.train.images[:40]
    back, size, quality = at_best(images, 10, kind, 1500)
    assert size == stored_bytes(images, 10, kind, quality) <= 1500
    assert quality == highest_quality(images, 10, kind, 1500)
    assert np.array_equal(back, read_sheets(write_sheets(images, kind, quality), images.shape))


def test_a_pillow_without_a_format_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*words: object) -> list[bytes]:
        raise OSError("encoder avif not available")

    can_write.cache_clear()
    monkeypatch.setattr(sheets, "write_sheets", refuse)
    assert not can_write("AVIF")
    can_write.cache_clear()
    monkeypatch.undo()
    assert can_write("JPEG")
    assert image_format("JPEG").name == "JPEG"


def test_jpeg_stands_in_where_avif_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheets, "can_write", lambda name: name != "AVIF")
    assert fast_format() is image_format("JPEG")
    monkeypatch.setattr(sheets, "can_write", lambda name: True)
    assert fast_format().name == "AVIF"


def test_no_more_images_are_stored_than_are_asked_for(digits: Source) -> None:
    by_class = images_by_class(digits)
    jpeg = image_format("JPEG")
    for most in (1, 3, None):
        budget = images_that_fit(4000, by_class, random_draw(by_class, 0), 2, jpeg, most)
        assert budget is not None
        assert budget.per_class == most if most else budget.per_class > 3
