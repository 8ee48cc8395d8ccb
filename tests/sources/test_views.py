"""Sources without a test split, and sources whose classes come in another order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddcodec import sources
from ddcodec.errors import UsageError
from ddcodec.sources import Source, Split, base, on_disk, views
from ddcodec.sources.views import drawn, in_order

Write = Callable[..., Path]
COUNTS = (10, 1, 5)  # images of the classes


@pytest.fixture
def root(write_images: Write) -> Path:
    """Three classes of images, each image of a grey of its own."""
    levels = iter(range(sum(COUNTS)))
    return write_images(
        {
            f"train/{name}/{i}.png": np.full((4, 4), next(levels), np.uint8)
            for name, count in zip("abc", COUNTS, strict=True)
            for i in range(count)
        }
    )


def greys(split: Split | None) -> list[int]:
    assert split is not None
    return split.images[:][:, 0, 0, 0].tolist()


def test_a_share_of_every_class_is_held_out_and_never_trained_on(root: Path) -> None:
    source = sources.load(root, test_share=0.2)
    test = source.require_test()
    assert np.bincount(test.labels, minlength=3).tolist() == [2, 0, 1]
    assert sorted(greys(source.train) + greys(test)) == list(range(16))
    whole = sources.load(root).train
    for split in (source.train, test):
        assert np.array_equal(split.labels, whole.labels[greys(split)])
    assert source.digest() != sources.load(root).digest()
    assert source.asked == {"test_share": 0.2}


def test_the_same_images_are_held_out_on_every_machine() -> None:
    assert np.flatnonzero(drawn(0, 10, 0.2)).tolist() == [2, 3]
    assert np.flatnonzero(drawn(1, 10, 0.5)).tolist() == [3, 6, 7, 8, 9]


@given(st.integers(0, 200), st.integers(1, 300), st.floats(0.001, 0.9), st.floats(0.001, 0.9))
def test_a_larger_share_holds_a_smaller_one(label: int, count: int, a: float, b: float) -> None:
    small, large = (drawn(label, count, share) for share in sorted((a, b)))
    assert not (small & ~large).any()
    assert (small.sum() >= 1) == (count > 1)
    assert large.sum() < count
    assert large.sum() in (1, round(max(a, b) * count), int(max(a, b) * count + 0.5), count - 1)


def test_a_source_that_is_read_by_class_holds_out_the_same_images(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = sources.load(root, test_share=0.4)
    monkeypatch.setattr(base, "HELD_BYTES", 0)
    monkeypatch.setattr(on_disk, "HELD_BYTES", 0)
    monkeypatch.setattr(views, "AT_ONCE", 1)
    lazy = sources.load(root, test_share=0.4)
    pool = lazy.by_class()
    counts = [pool.count(label) for label in range(3)]
    assert counts == np.bincount(held.train.labels).tolist()
    read = [grey for i, n in enumerate(counts) for grey in pool.images(i, np.arange(n)).max((1, 2))]
    assert np.concatenate(read).tolist() == greys(held.train)
    assert greys(lazy.test) == greys(held.test)
    assert isinstance(lazy.test.images, on_disk.OnDisk)  # a share of much is much
    assert lazy.test.labels.tolist() == held.test.labels.tolist()
    assert pool.digest() != sources.load(root, test_share=0.5).by_class().digest()
    assert "train" not in lazy.__dict__


def test_a_source_with_a_test_split_refuses_a_share(root: Path, write_images: Write) -> None:
    write_images({"val/a/1.png": np.zeros((4, 4), np.uint8)})
    with pytest.raises(UsageError, match=r"has a test split.*.*`test_share` is for"):
        sources.load(root, test_share=0.2)
    with pytest.raises(UsageError, match="has a test split"):
        sources.load("digits", test_share=0.2)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.2, float("nan"), 20.0])
def test_a_share_out_of_range_is_an_error_of_use(root: Path, share: float) -> None:
    with pytest.raises(
        UsageError, match=r"`test_share` must be (from 0\.001 to 0\.9|a finite number)"
    ):
        sources.load(root, test_share=share)


def test_classes_are_taken_by_their_names_where_only_the_order_differs(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = in_order(sources.load(root, test_share=0.4), ["c", "a", "b"])
    held = sources.load(root, test_share=0.4)
    assert source.classes == ("c", "a", "b")
    assert source.train.labels.tolist() == [(n + 1) % 3 for n in held.train.labels]
    assert source.require_test().labels.tolist() == [
        (n + 1) % 3 for n in held.require_test().labels
    ]
    monkeypatch.setattr(base, "HELD_BYTES", 0)
    pool = in_order(sources.load(root), ["c", "a", "b"]).by_class()
    assert [pool.count(label) for label in range(3)] == [5, 10, 1]
    assert pool.images(2, np.array([0])).max() == 10


def test_other_classes_are_left_as_they_are() -> None:
    split = Split(np.zeros((2, 1, 1, 1), np.uint8), np.array([0, 1]))
    toy = Source("toy", ("a", "b"), {"train": lambda: split})
    assert in_order(toy, ("a", "c")) is toy
    assert in_order(toy, ("a", "b")) is toy
