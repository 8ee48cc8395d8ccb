from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ddcodec import sources
from ddcodec.errors import SourceError

RANDOM = np.random.default_rng(4)
GREY = RANDOM.integers(0, 256, (6, 6, 4), np.uint8)
COLOUR = RANDOM.integers(0, 256, (6, 6, 4, 3), np.uint8)

Write = Callable[..., Path]
LAYOUT = ["train/cat/b.png", "train/cat/a.png", "train/ant/x.PNG", "test/cat/1.png"]


def test_a_folder_gives_its_pixels_in_sorted_order(write_images: Write) -> None:
    source = sources.load(write_images(dict(zip(LAYOUT, COLOUR, strict=False)), "pets"))
    assert source.name == "pets"
    assert source.classes == ("ant", "cat")
    assert source.train.labels.tolist() == [0, 1, 1]
    assert source.train.labels.dtype == np.int64
    assert np.array_equal(source.train.images, COLOUR[[2, 1, 0]])
    assert source.require_test().labels.tolist() == [1]
    assert np.array_equal(source.require_test().images, COLOUR[3:4])


def test_grey_images_give_one_channel(write_images: Write) -> None:
    source = sources.load(write_images(dict(zip(LAYOUT, GREY, strict=False))))
    assert np.array_equal(source.train.images, GREY[[2, 1, 0], ..., None])
    assert source.channels == 1


@pytest.mark.parametrize("name", ["test", "val", "validation", "valid"])
def test_the_test_folder_may_be_called_val(write_images: Write, name: str) -> None:
    root = write_images({"train/a/1.png": GREY[0], f"{name}/a/1.png": GREY[1]})
    assert np.array_equal(sources.load(root).require_test().images[0, ..., 0], GREY[1])


def test_test_comes_before_val(write_images: Write) -> None:
    root = write_images({f"{n}/a/1.png": GREY[i] for i, n in enumerate(["train", "test", "val"])})
    assert np.array_equal(sources.load(root).require_test().images[0, ..., 0], GREY[1])


def test_a_test_folder_without_labels_gives_way_to_val(write_images: Write) -> None:
    files = ["train/a/1.png", "val/a/1.png", "test/1.png", "test/images/2.png"]
    root = write_images(dict(zip(files, GREY, strict=False)))
    assert np.array_equal(sources.load(root).require_test().images[0, ..., 0], GREY[1])


def test_without_a_test_folder_there_is_no_test_split(write_images: Write) -> None:
    assert sources.load(write_images({"train/a/1.png": GREY[0]})).test is None


def test_asking_for_test_decodes_no_training_image(write_images: Write) -> None:
    root = write_images({"train/a/1.png": GREY[0], "test/a/1.png": GREY[1]})
    (root / "train/a/1.png").write_bytes(b"broken")
    source = sources.load(root)
    assert len(source.require_test()) == 1
    with pytest.raises(SourceError, match=r"1\.png: is not an image"):
        _ = source.train


def test_hidden_and_other_files_are_passed_over(write_images: Write) -> None:
    root = write_images({"train/a/1.png": GREY[0], "train/.cache/1.png": GREY[1]})
    (root / "train/a/._1.png").write_bytes(b"finder")
    (root / "train/a/readme.txt").write_text("hello")
    (root / "train/a/.thumbs").mkdir()
    (root / "train/a/.thumbs/1.png").write_bytes(b"small")
    source = sources.load(root)
    assert source.classes == ("a",)
    assert len(source.train) == 1


def test_links_in_a_circle_end(write_images: Write) -> None:
    root = write_images({"train/a/1.png": GREY[0]})
    (root / "train" / "a" / "up").symlink_to(root / "train")
    assert len(sources.load(root).train) == 1


@pytest.mark.parametrize("link", ["train/b", "train/a/2.png"])
@pytest.mark.parametrize("target", ["itself", "nowhere"])
def test_a_link_that_leads_nowhere_is_named(write_images: Write, link: str, target: str) -> None:
    root = write_images({"train/a/1.png": GREY[0]})
    (root / link).symlink_to(root / link if target == "itself" else root / "gone")
    with pytest.raises(SourceError, match=f"{link}: is a (broken )?link"):
        _ = sources.load(root).train


def test_a_pipe_is_no_image(write_images: Write) -> None:
    root = write_images({"train/a/1.png": GREY[0]})
    os.mkfifo(root / "train" / "a" / "2.png")
    with pytest.raises(SourceError, match=r"2\.png: is a broken link or no regular file"):
        _ = sources.load(root).train


def test_images_may_lie_deeper_in_their_class(write_images: Write) -> None:
    root = write_images({"train/n01/images/1.png": GREY[0], "train/n02/images/1.png": GREY[1]})
    assert sources.load(root).train.labels.tolist() == [0, 1]


def test_a_class_may_be_absent_from_test(write_images: Write) -> None:
    root = write_images(
        {"train/a/1.png": GREY[0], "train/b/1.png": GREY[1], "test/b/1.png": GREY[2]}
    )
    assert sources.load(root).require_test().labels.tolist() == [1]


def test_a_link_is_called_by_its_own_name(write_images: Write, tmp_path: Path) -> None:
    (tmp_path / "cifar10").symlink_to(write_images({"train/a/1.png": GREY[0]}, "elsewhere"))
    assert sources.load(tmp_path / "cifar10").name == "cifar10"


def test_the_folder_one_stands_in_has_a_name(
    write_images: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(write_images({"train/a/1.png": GREY[0]}, "here"))
    assert sources.load(".").name == "here"


def read_all(root: Path) -> None:
    source = sources.load(root)
    _ = source.train, source.test


def empty_class(root: Path) -> None:
    (root / "train" / "empty").mkdir()


def unknown_class(root: Path) -> None:
    (root / "test" / "dog").mkdir()


def empty_test_class(root: Path) -> None:
    (root / "test" / "cat" / "1.png").unlink()


def flat_test(root: Path) -> None:
    shutil.rmtree(root / "test" / "cat")


def truncated(root: Path) -> None:
    file = root / "train" / "cat" / "b.png"
    file.write_bytes(file.read_bytes()[:-40])


def no_classes(root: Path) -> None:
    shutil.rmtree(root / "train")
    (root / "train").mkdir()


def no_train(root: Path) -> None:
    (root / "train").rename(root / "other")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (empty_class, ["train/empty", "class 'empty' has no images"]),
        (unknown_class, ["test/dog", "no class of the train folder"]),
        (empty_test_class, ["test/cat", "class 'cat' has no images"]),
        (flat_test, ["test: has no class folders", "test/ant/<image>.png"]),
        (truncated, ["train/cat/b.png", "cannot be read as an image"]),
        (no_classes, ["train: has no class folders", "train/<class>/<image>.png"]),
        (no_train, ["no name of a class", "no train folder", "<class>/<image>.png"]),
    ],
)
def test_a_spoilt_folder_is_explained_in_one_line(
    write_images: Write, spoil: Callable[[Path], None], words: list[str]
) -> None:
    root = write_images(dict(zip(LAYOUT, COLOUR, strict=False)))
    spoil(root)
    with pytest.raises(SourceError) as refusal:
        read_all(root)
    assert "\n" not in str(refusal.value)
    for word in words:
        assert word in str(refusal.value)


def test_mixed_sizes_name_two_files(write_images: Write) -> None:
    root = write_images({"train/a/1.png": GREY[0], "train/b/2.png": GREY[1][:5]})
    with pytest.raises(SourceError, match=r"b/2\.png: is 4x5, but .*a/1\.png is 4x6.*resize all"):
        _ = sources.load(root).train
