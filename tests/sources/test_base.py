from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddcodec.errors import SourceError
from ddcodec.sources import Source, Split
from ddcodec.sources.checks import numbered_classes


def split(labels: list[int], shape: tuple[int, ...] = (4, 5, 1), fill: int = 7) -> Split:
    images = np.full((len(labels), *shape), fill, np.uint8)
    return Split(images, np.asarray(labels, np.int64))


def source(
    train: Split, test: Split | None = None, classes: tuple[str, ...] = ("a", "b")
) -> Source:
    splits = {"train": lambda: train}
    if test is not None:
        splits["test"] = lambda: test
    return Source("toy", classes, splits)


def test_each_split_is_read_once_and_only_when_asked_for() -> None:
    read: list[str] = []

    def reader(name: str) -> Split:
        read.append(name)
        return split([0, 1])

    toy = Source("toy", ("a", "b"), {n: lambda n=n: reader(n) for n in ("train", "test")})
    assert read == []
    assert toy.test is toy.test
    assert read == ["test"]
    assert (toy.height, toy.width, toy.channels) == (4, 5, 1)
    assert read == ["test", "train"]


def test_a_source_without_test_images_says_how_to_add_them() -> None:
    toy = source(split([0, 1]))
    assert toy.test is None
    with pytest.raises(
        SourceError, match=r"toy: has no test split; hold .*`test_share`=0\.2.*test_images"
    ):
        toy.require_test()


def test_require_test_gives_the_test_split() -> None:
    assert source(split([0, 1]), split([1])).require_test().labels.tolist() == [1]


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (split([0, 2]), "label 2 of image 1 lies outside 0..1"),
        (split([0, -1]), "label -1 of image 1"),
        (split([]), "has no images"),
        (split([0, 1], (4, 5, 2)), "uint8 2x4x5x2"),
        (split([0, 1], (4, 5)), "uint8 2x4x5"),
        (split([0, 1], (0, 5, 1)), "hold no pixel"),
        (Split(np.zeros((2, 4, 5, 1), np.float32), np.zeros(2, np.int64)), "float32"),  # type: ignore[arg-type]
        (Split(np.zeros((2, 4, 5, 1), np.uint8), np.zeros(3, np.int64)), "2 images but labels"),
        (split([0, 0]), "class 'b' has no training image"),
    ],
)
def test_a_split_that_breaks_its_promise_is_refused(bad: Split, words: str) -> None:
    with pytest.raises(SourceError) as refusal:
        _ = source(bad).train
    assert words in str(refusal.value)
    assert str(refusal.value).startswith("toy")


@pytest.mark.parametrize("first", ["train", "test"])
def test_splits_of_different_shapes_are_refused_in_either_order(first: str) -> None:
    toy = source(split([0, 1]), split([0], (5, 4, 1)))
    getattr(toy, first)
    with pytest.raises(SourceError, match="test images are 5x4x1, training images 4x5x1"):
        getattr(toy, "test" if first == "train" else "train")


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        (("a", "a"), "two classes are named 'a'"),
        (("a", ""), "class 1 has an empty name"),
        (("a", "\udcff"), "is not UTF-8"),
    ],
)
def test_class_names_that_no_file_could_hold_are_refused(
    classes: tuple[str, ...], words: str
) -> None:
    with pytest.raises(SourceError, match=words):
        source(split([0, 1]), classes=classes)


def test_a_read_error_names_source_and_split() -> None:
    def broken() -> Split:
        raise PermissionError(13, "Permission denied", "disk")

    with pytest.raises(SourceError, match=r"toy \(train\): cannot be read: .*Permission denied"):
        _ = Source("toy", ("a",), {"train": broken}).train


def test_the_digest_depends_on_pixels_labels_and_class_names_only() -> None:
    digest = source(split([0, 1, 1])).digest()
    assert len(bytes.fromhex(digest)) == 32
    assert source(split([0, 1, 1]), split([1])).digest() == digest
    others = [
        source(split([1, 0, 1])),
        source(split([0, 1, 1], fill=8)),
        source(split([0, 1, 1], (5, 4, 1))),
        source(split([0, 1, 1]), classes=("a", "c")),
        source(split([0, 1, 1]), classes=("b", "a")),
        source(split([0, 1, 1, 0])),
    ]
    assert len({digest, *(other.digest() for other in others)}) == 1 + len(others)


@given(st.lists(st.integers(0, 20), min_size=1, max_size=30))
def test_classes_without_names_are_called_by_their_numbers(labels: list[int]) -> None:
    top = max(labels)
    if top >= len(labels):  # some class cannot have an image
        with pytest.raises(SourceError, match=f"the label {top} but only"):
            numbered_classes(np.asarray(labels), "here")
    else:
        expected = tuple(str(i) for i in range(top + 1))
        assert numbered_classes(np.asarray(labels), "here") == expected


@pytest.mark.parametrize("name", ["a" * 201, "line\nbreak", "\x1b[2J", "right\u202eto left"])
def test_a_name_that_no_file_could_hold_is_refused_before_the_work(name: str) -> None:
    with pytest.raises(SourceError, match="rename it"):
        Source("zoo", ("a", name), {})
    with pytest.raises(SourceError, match="rename it"):
        Source(name, ("a", "b"), {})


@pytest.mark.parametrize("first", ["train", "test"])
def test_grey_and_colour_are_made_alike_as_the_training_images_are(first: str) -> None:
    colour = source(split([0, 1], (4, 5, 3), fill=9), split([0]))
    grey = source(split([0, 1]), split([0], (4, 5, 3), fill=9))
    for toy in (colour, grey):
        getattr(toy, first)
    assert np.array_equal(colour.train.images, np.full((2, 4, 5, 3), 9))
    assert np.array_equal(colour.require_test().images, np.full((1, 4, 5, 3), 7))
    assert np.array_equal(grey.train.images, np.full((2, 4, 5, 1), 7))
    assert np.array_equal(grey.require_test().images, np.full((1, 4, 5, 1), 9))


def test_a_test_split_that_loses_its_colours_is_said_to() -> None:
    said: list[str] = []
    toy = source(split([0, 1]), split([0, 1], (4, 5, 3)))
    toy.say = said.append
    _ = toy.train, toy.test
    assert any("test: in colour, made grey as the training images are" in line for line in said)


def test_names_are_the_same_in_any_normal_form() -> None:
    toy = source(split([0, 1]), classes=("\ufeffcaf\u0065\u0301", "bee "))
    assert toy.classes == ("caf\u00e9", "bee")
    with pytest.raises(SourceError, match="two classes are named"):
        source(split([0, 1]), classes=("e\u0301", "\u00e9"))


def test_what_is_read_and_what_a_test_split_lacks_is_said_once() -> None:
    said: list[str] = []
    toy = source(split([0, 1, 1]), split([1]))
    toy.say = said.append
    _ = toy.test, toy.train, toy.by_class(), toy.train
    assert said == [
        "toy: test: 1 image; none of 1 of 2 classes (a), so an accuracy is that on the others",
        "toy: read 3 images of 2 classes (5x4, grey); nearly black, with no value above 7 of 255: "
        "scale them up",
    ]


def test_other_images_beside_train_and_test_are_kept_apart() -> None:
    splits = {name: lambda n=n: split([0] * n) for n, name in ((1, "train"), (2, "validation"))}
    toy = Source("toy", ("a",), splits)
    assert toy.test is None
    assert toy.validation is not None
    assert (len(toy.train), len(toy.validation)) == (1, 2)
