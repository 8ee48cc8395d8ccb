"""Random real images as image files: sheets, the bytes they keep to, and how well they teach."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddcodec import DistilledDataset, encode, load
from ddcodec.evaluate import image_baselines
from ddcodec.evaluate.budgets import label_bytes, shrink
from ddcodec.evaluate.draws import images_by_class
from ddcodec.evaluate.image_baselines import (
    FORMATS,
    HIGHEST,
    ImageFormat,
    can_write,
    highest_quality,
    image_baseline,
    image_format,
    layout,
    read_sheets,
    stored_bytes,
    write_sheets,
)
from ddcodec.evaluate.measure import protocol
from ddcodec.judge.trial import Trial
from ddcodec.sources import Source

WRITABLE = [kind for kind in FORMATS if can_write(kind.name)]


@pytest.fixture(params=WRITABLE, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> ImageFormat:
    found: ImageFormat = request.param
    return found


@pytest.fixture(scope="module")
def ds(tmp_path_factory: pytest.TempPathFactory, digits: Source) -> DistilledDataset:
    path: Path = tmp_path_factory.mktemp("digits") / "digits.ddset"
    encode(digits, ipc=0.9, out=path, steps=2, device="cpu")
    return load(path)


@pytest.fixture(scope="module")
def trial(ds: DistilledDataset, digits: Source) -> Trial:
    test = digits.require_test()
    return protocol(ds, test, nets=2, steps=40, device="cpu")


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
        patch.setattr(image_baselines, "SHEET_SIDE", 100)
        sheets = list(layout((count, height, width, 3)))
    assert [start for start, *_ in sheets] == [0, *(stop for _, stop, *_ in sheets[:-1])]
    assert sheets[-1][1] == count
    for start, stop, columns, rows in sheets:
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
    monkeypatch.setattr(image_baselines, "SHEET_SIDE", 32)
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


def test_the_bytes_of_the_file_are_kept_and_used(
    kind: ImageFormat, ds: DistilledDataset, digits: Source, trial: Trial
) -> None:
    total = ds.file.sizes.total
    entry = image_baseline(trial, ds, images_by_class(digits), kind, total)
    assert entry is not None
    assert 0.8 * total < entry["bytes"] <= total
    assert kind.lowest <= entry["quality"][0] <= entry["quality"][1] <= HIGHEST
    assert entry["stored_size"] == [8, 8]
    assert entry["pixels"] == 10 * 64 * entry["images_per_class"]
    assert len(entry["per_net"]) == 2
    assert entry["accuracy_mean"] > 0.5
    assert entry == image_baseline(trial, ds, images_by_class(digits), kind, total)


def test_few_bytes_shrink_one_image_a_class(
    kind: ImageFormat, ds: DistilledDataset, digits: Source, trial: Trial
) -> None:
    by_class = images_by_class(digits)
    one = np.stack([group[0] for group in by_class])
    total = stored_bytes(shrink(one, (1, 1)), 10, kind, kind.lowest) + 20
    entry = image_baseline(trial, ds, by_class, kind, total)
    assert entry is not None
    assert entry["images_per_class"] == 1
    assert entry["stored_size"][0] < 8
    assert entry["bytes"] <= total


def test_bytes_for_no_pixel_at_all_give_none(
    kind: ImageFormat, ds: DistilledDataset, digits: Source, trial: Trial
) -> None:
    assert image_baseline(trial, ds, images_by_class(digits), kind, 20) is None


def test_a_pillow_without_a_format_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*words: object) -> list[bytes]:
        raise OSError("encoder avif not available")

    can_write.cache_clear()
    monkeypatch.setattr(image_baselines, "write_sheets", refuse)
    assert not can_write("AVIF")
    can_write.cache_clear()
    monkeypatch.undo()
    assert can_write("JPEG")
    assert image_format("JPEG").name == "JPEG"
