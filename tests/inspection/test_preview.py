"""The picture of a file."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ddcodec import load
from ddcodec.inspection.preview import (
    EXAMPLES,
    WIDTH,
    enlarge,
    font,
    printable,
    render,
    sheet_of,
    shorten,
    spread,
)
from tests.helpers import vectors

KINDS = ["zstd-8-bits", "colour", "unicode", "many-classes", "one-class", "one-patch"]


def vector(kind: str) -> Path:
    return vectors.FOLDER / "valid" / f"podd-{kind}.ddset"


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_has_a_picture(kind: str) -> None:
    picture = render(load(vector(kind)))
    assert picture.mode == "RGB"
    assert picture.width == WIDTH
    colours = picture.getcolors(1 << 24)
    assert colours is not None
    assert len(colours) > 20


def test_the_picture_is_kept_by_png(digits_file: Path) -> None:
    picture = render(load(digits_file))
    file = io.BytesIO()
    picture.save(file, "PNG")
    file.seek(0)
    with Image.open(file) as again:
        again.verify()
    with Image.open(file) as again:
        assert (again.format, again.mode, again.size) == ("PNG", "RGB", picture.size)
        assert np.array_equal(np.asarray(again), np.asarray(picture))


def test_the_picture_shows_the_poster(digits_file: Path) -> None:
    ds = load(digits_file)
    before = np.asarray(render(ds)).copy()
    assert np.array_equal(np.asarray(render(ds)), before)
    ds.file.arrays["poster"][...] = ds.file.arrays["poster"][:, ::-1]
    assert not np.array_equal(np.asarray(render(ds)), before)


def test_transforms_and_hard_labels_change_no_picture(digits_file: Path) -> None:
    plain = np.asarray(render(load(digits_file)))
    changed = load(
        digits_file,
        transform=lambda image: image.flip(1).tolist(),
        target_transform=int,
        hard_labels=True,
    )
    assert np.array_equal(np.asarray(render(changed)), plain)


@pytest.mark.parametrize(
    ("size", "expected"),
    [((10, 10), (100, 100)), ((30, 20), (90, 60)), ((400, 100), (100, 25)), ((900, 2), (100, 1))],
)
def test_a_picture_is_made_as_large_as_fits(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert enlarge(Image.new("RGB", size), 100, 120).size == expected


def test_enlarged_pixels_stay_hard() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    large = np.asarray(enlarge(Image.fromarray(pixels), 14, 100))
    assert np.array_equal(large, pixels.repeat(3, 0).repeat(3, 1))


def test_examples_are_spread_from_the_first_to_the_last() -> None:
    assert spread(1, EXAMPLES) == [0]
    assert spread(3, EXAMPLES) == [0, 1, 2]
    for count in (EXAMPLES, 9, 100, 12345):
        shown = spread(count, EXAMPLES)
        assert (len(shown), shown[0], shown[-1]) == (EXAMPLES, 0, count - 1)
        assert shown == sorted(set(shown))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("crème\nbrûlée", "creme brulee"),
        ("猫", "class 7"),
        (" \t", "class 7"),
        ("a" * 99, "a" * 80),
    ],
)
def test_names_are_made_printable(name: str, expected: str) -> None:
    assert printable(name, 7) == expected


def test_long_names_are_cut_to_their_room() -> None:
    assert shorten("cat", 200, 20) == "cat"
    cut = shorten("a rather long name of a class", 120, 20)
    assert cut.endswith("…")
    assert cut[:-1] == "a rather long name of a class"[: len(cut) - 1]
    assert 80 < font(20).getlength(cut) <= 120


@pytest.mark.parametrize("kind", ["chunks", "class-indices", "colour", "float32", "soft-labels"])
def test_files_of_images_have_a_picture_too(kind: str) -> None:
    path = vectors.FOLDER / "valid" / f"images-{kind}.ddset"
    picture = np.asarray(render(load(path)))
    assert picture.shape[1] == WIDTH
    assert np.array_equal(np.asarray(render(load(path, raw=True))), picture)


def test_a_sheet_holds_every_image_apart() -> None:
    images = np.random.default_rng(0).integers(0, 255, (5, 4, 6, 3), np.uint8)
    sheet = sheet_of(list(images))
    assert sheet.shape == (9, 20, 3)  # two rows of three, one pixel in between
    kept = [sheet[y : y + 4, x : x + 6] for y in (0, 5) for x in (0, 7, 14)]
    assert np.array_equal(kept[:5], images)
    assert (kept[5] == 255).all()
    assert (sheet[4] == 255).all()
