"""Layouts as they come from cameras, competitions, the hub and MedMNIST, and what is said."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from ddcodec import sources
from ddcodec.errors import SourceError
from ddcodec.sources import base

Write = Callable[..., Path]
RANDOM = np.random.default_rng(8)
GREY = RANDOM.integers(0, 256, (6, 4, 4), np.uint8)
COLOUR = RANDOM.integers(0, 256, (6, 4, 4, 3), np.uint8)


def said_of(root: Path) -> list[str]:
    lines: list[str] = []
    source = sources.load(root, say=lambda line: lines.append(line.removeprefix(f"{root}: ")))
    _ = source.train, source.test
    return lines


def encoded(kind: str) -> bytes:
    out = io.BytesIO()
    Image.fromarray(GREY[0]).save(out, kind)
    return out.getvalue()


def test_class_folders_alone_are_all_to_train_on(write_images: Write) -> None:
    root = write_images({"dog/1.png": GREY[0], "cat/deep/2.png": GREY[1], "3.png": GREY[2]})
    (root / "__MACOSX").mkdir()
    (root / "readme.txt").write_text("hello")
    source = sources.load(root)
    assert source.classes == ("cat", "dog")
    assert source.test is None
    assert np.array_equal(source.train.images[..., 0], GREY[[1, 0]])
    assert said_of(root) == [
        "read 2 images of 2 classes (4x4, grey); no test split; "
        "passed over 1 file: 1 beside the class folders"
    ]
    assert len(sources.load(root, test_share=0.5).classes) == 2


@pytest.mark.parametrize("name", ["images", "annotations", "Masks", "test", "val"])
def test_folders_that_are_no_classes_are_not_taken_for_such(write_images: Write, name: str) -> None:
    root = write_images({f"{name}/1.png": GREY[0], "other/2.png": GREY[1]})
    with pytest.raises(SourceError, match=f"'{name}' is no name of a class.*train"):
        sources.load(root)


def test_a_folder_around_the_folder_is_pointed_at(write_images: Write) -> None:
    root = write_images({"inner/cat/1.png": GREY[0], "inner/dog/1.png": GREY[1]})
    with pytest.raises(SourceError, match=r"is it .*inner that you mean\?"):
        sources.load(root)


@pytest.mark.parametrize(
    ("train", "test"), [("Train", "Test"), ("training", "testing"), ("TRAINING", "val")]
)
def test_splits_may_be_spelt_as_people_do(write_images: Write, train: str, test: str) -> None:
    root = write_images({f"{train}/a/1.png": GREY[0], f"{test}/a/1.png": GREY[1]})
    source = sources.load(root)
    assert np.array_equal(source.train.images[0, ..., 0], GREY[0])
    assert np.array_equal(source.require_test().images[0, ..., 0], GREY[1])


def test_which_folder_serves_as_test_is_said(write_images: Write) -> None:
    root = write_images({"train/a/1.png": GREY[0], "val/a/1.png": GREY[1]})
    assert "; test: val/, since test/ is not there; passed over nothing" in said_of(root)[0]
    write_images({"test/1.png": GREY[2]})
    assert "; test: val/, since test/ has no class folders;" in said_of(root)[0]
    write_images({"test/a/1.png": GREY[2]})
    assert "; test: test/;" in said_of(root)[0]
    kept = sources.load(root).validation
    assert kept is not None
    assert np.array_equal(kept.images[0, ..., 0], GREY[1])


def test_a_class_that_test_lacks_is_named(write_images: Write) -> None:
    root = write_images(
        {"train/a/1.png": GREY[0], "train/b/1.png": GREY[1], "test/b/1.png": GREY[2]}
    )
    assert said_of(root)[1] == (
        "test (test/): 1 image; none of 1 of 2 classes (a), so an accuracy is that on the others"
    )


@pytest.mark.parametrize("suffix", [".jfif", ".JPE", ".jpeg", ".dib", "", ".image", ".001"])
def test_an_image_is_known_by_suffix_or_content(write_images: Write, suffix: str) -> None:
    root = write_images({"train/a/0.png": GREY[1]})
    (root / "train" / "a" / f"1{suffix}").write_bytes(encoded("BMP" if "dib" in suffix else "PNG"))
    assert np.array_equal(sources.load(root).train.images[..., 0], GREY[[1, 0]])


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_avif_is_read(write_images: Write) -> None:
    root = write_images({"train/a/0.png": COLOUR[1]})
    Image.fromarray(COLOUR[0]).save(root / "train/a/1.avif", quality=100)
    assert sources.load(root).train.images.shape == (2, 4, 4, 3)


def test_what_is_passed_over_is_counted_by_reason(write_images: Write) -> None:
    root = write_images({"train/a/0.png": GREY[0]})
    for name, content in {
        "1.HEIC": b"\0\0\0\x18ftypheic",
        ".DS_Store": b"x",
        "Thumbs.db": b"x",
        "labels.txt": b"BM, a maker of cars",
        "notes": b"BM, a maker of cars",
        "film.mp4": b"\0\0\0\x18ftypisom",
    }.items():
        (root / "train" / "a" / name).write_bytes(content)
    (line,) = said_of(root)
    assert "passed over 6 files: " in line
    for reason in (
        "1 .heic (convert them to PNG or JPEG)",
        "1 hidden",
        "1 .db",
        "1 .txt",
        "1 .mp4",
    ):
        assert reason in line


def test_a_class_of_nothing_that_is_read_says_what_there_is(write_images: Write) -> None:
    root = write_images({"train/a/0.png": GREY[0]})
    (root / "train" / "b").mkdir()
    (root / "train" / "b" / "1.heic").write_bytes(b"\0\0\0\x18ftypheic")
    with pytest.raises(SourceError, match=r"class 'b' has no images that can be read, only \.heic"):
        _ = sources.load(root).train


def test_of_a_class_without_images_what_others_hold_is_not_said(write_images: Write) -> None:
    root = write_images({"train/a/0.png": GREY[0]})
    (root / "train" / "a" / "notes.txt").write_text("x")
    (root / "train" / "b").mkdir()
    with pytest.raises(SourceError, match=r"b: class 'b' has no images; add some or remove"):
        _ = sources.load(root).train


def test_folders_within_classes_are_said_to_be_none(
    write_images: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{name}/{i}.png" for name in ("animal/cat", "animal/dog", "tree/elm", "tree/oak")
             for i in range(2)]  # fmt: skip
    root = write_images(dict(zip(names, RANDOM.integers(0, 256, (8, 4, 4), np.uint8), strict=True)))
    note = "folders within these, as animal/cat, are no classes; no test split"
    assert note in said_of(root)[0]
    monkeypatch.setattr(base, "HELD_BYTES", 0)
    lines: list[str] = []
    sources.load(root, say=lines.append).by_class()
    assert note in lines[0]
    lines.clear()
    _ = sources.load(root, say=lines.append, test_share=0.5).train
    assert note.removesuffix("; no test split") in lines[0]
    # Images of the class itself, or one folder alone, are no second level.
    write_images({"tree/1.png": GREY[0]})
    assert "within" not in said_of(root)[0]


def test_one_class_folder_alone_is_told_from_a_folder_around_the_folder(
    write_images: Write,
) -> None:
    root = write_images({"cat/1.png": GREY[0]})
    with pytest.raises(SourceError, match=r"; cat/ alone is one class, and a classifier needs two"):
        sources.load(root)


def test_a_class_that_is_spelt_otherwise_in_the_test_folder_is_pointed_at(
    write_images: Write,
) -> None:
    root = write_images({"train/Cat/1.png": GREY[0], "test/cat/1.png": GREY[1]})
    with pytest.raises(SourceError, match=r"cat: is no class of the train folder, where it is"):
        _ = sources.load(root).test


@pytest.mark.parametrize(("bits", "said"), [(12, "no value above 16 of 255: scale"), (16, "")])
def test_few_bits_in_files_of_sixteen_are_said_to_be_dark(
    tmp_path: Path, bits: int, said: str
) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        deep = np.full((4, 4), 2**bits - 1, np.uint16)
        Image.fromarray(deep).save(tmp_path / name / "1.png")
    (line,) = said_of(tmp_path)
    assert said in line
    assert ("nearly black" in line) == bool(said)


def test_heic_under_another_name_is_told_apart(write_images: Write) -> None:
    root = write_images({"train/a/0.png": GREY[0]})
    (root / "train" / "a" / "1.jpg").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    with pytest.raises(SourceError, match=r"1\.jpg: is HEIC.*convert it"):
        _ = sources.load(root).train


def test_names_of_a_mac_and_of_others_are_the_same(write_images: Write) -> None:
    short, long = (unicodedata.normalize(form, "caf\u00e9") for form in ("NFC", "NFD"))
    root = write_images({f"train/{short}/0.png": GREY[0], "train/b/0.png": GREY[1]})
    write_images({f"test/{long}/0.png": GREY[2]})
    source = sources.load(root)
    assert source.classes == ("b", short)
    assert source.require_test().labels.tolist() == [1]
    write_images({f"train/{long}/1.png": GREY[2]})
    with pytest.raises(SourceError, match="in another Unicode form; put the images of both into"):
        sources.load(root)


def test_a_mixed_data_set_becomes_colour(write_images: Write) -> None:
    root = write_images({"train/a/0.png": COLOUR[0], "test/a/0.png": GREY[0]})
    source = sources.load(root)
    assert np.array_equal(source.train.images, COLOUR[:1])
    assert np.array_equal(source.require_test().images[0], np.repeat(GREY[0][..., None], 3, 2))


def medmnist(path: Path, **change: np.ndarray) -> Path:
    arrays: dict[str, np.ndarray] = {}
    for n, name in enumerate(("train", "val", "test"), 1):
        arrays[f"{name}_images"] = GREY[: 2 * n]
        arrays[f"{name}_labels"] = (np.arange(2 * n) % 2).astype(np.uint8)[:, None]
    np.savez(path, **{k: v for k, v in (arrays | change).items() if v is not None})
    return path


def test_medmnist_is_read_as_it_is_published(tmp_path: Path) -> None:
    path = medmnist(tmp_path / "bloodmnist.npz")
    source = sources.load(path)
    kept = source.validation
    assert kept is not None
    assert [len(split) for split in (source.train, kept, source.require_test())] == [2, 4, 6]
    assert source.train.labels.tolist() == [0, 1]
    assert said_of(path) == ["read 2 images of 2 classes (4x4, grey); test: test_images"]
    left = {"test_images": None, "test_labels": None}
    path = medmnist(tmp_path / "b.npz", **left)  # type: ignore[arg-type]
    assert len(sources.load(path).require_test()) == 4
    assert "test: val_images, since there are no test_images" in said_of(path)[0]


def test_several_labels_an_image_are_refused(tmp_path: Path) -> None:
    path = medmnist(tmp_path / "chestmnist.npz", train_labels=np.zeros((2, 14), np.uint8))
    with pytest.raises(SourceError, match="train_labels are uint8 2x14, several labels an image"):
        sources.load(path)


def cell(image: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(image).save(out, "PNG")
    return out.getvalue()


def test_the_hubs_converted_layout_is_read(write_shard: Write) -> None:
    root = write_shard("default/train/0000.parquet", [cell(GREY[0])], [0])
    write_shard("default/train/0001.parquet", [cell(GREY[1])], [1])
    write_shard("default/validation/0000.parquet", [cell(GREY[2])], [1])
    for place in (root, root / "default"):
        source = sources.load(place)
        assert np.array_equal(source.train.images[..., 0], GREY[:2])
        assert source.require_test().labels.tolist() == [1]
    (root / "default" / "train" / "0000.parquet").unlink()
    write_shard("default/train/0002.parquet", [cell(GREY[1])], [0])
    (root / "default" / "train" / "0001.parquet").rename(
        root / "default" / "train" / "0003.parquet"
    )
    with pytest.raises(SourceError, match=r"lacks 0000\.parquet and 1 more"):
        sources.load(root)


def test_of_several_configurations_one_must_be_chosen(write_shard: Write) -> None:
    for name in ("small", "large"):
        root = write_shard(f"{name}/train/0000.parquet", [cell(GREY[0])], [0])
    with pytest.raises(SourceError, match=r"holds 2 configurations .*\(large, small\); say which"):
        sources.load(root)
    assert sources.load(root / "small").name == "small"


def test_the_beginning_of_a_large_split_is_not_taken_for_all(write_shard: Write) -> None:
    root = write_shard("default/partial-train/0000.parquet", [cell(GREY[0])], [0])
    with pytest.raises(SourceError, match="is the beginning of the train split"):
        sources.load(root)


def test_labels_of_parquet_splits_are_matched_by_name(write_shard: Write) -> None:
    root = write_shard("train.parquet", [cell(GREY[0]), cell(GREY[1])], [0, 1], names=["a", "b"])
    write_shard("test.parquet", [cell(GREY[2])], [0], names=["b", "a"])
    assert sources.load(root).require_test().labels.tolist() == [1]
    write_shard("test.parquet", [cell(GREY[2])], [0], names=["b", "c"])
    with pytest.raises(SourceError, match="has the class 'c', which train has not"):
        _ = sources.load(root).test
