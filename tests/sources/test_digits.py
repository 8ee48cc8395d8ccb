from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from ddcodec import sources


def test_the_digits_never_change() -> None:
    digits = sources.load("digits")
    assert digits.digest() == "f1009f312b68d699ab973b277b27d220ce63e488520a19b378fe3ad65910c8d6"
    test = digits.require_test()
    assert (
        hashlib.sha256(test.images.tobytes() + test.labels.astype("<i8").tobytes()).hexdigest()
        == "b0a7cadaac2daa67f12d291270860d387caae15ba7c84aeb441fd1c36da962a2"
    )


def test_the_digits_are_small_grey_images_of_ten_classes() -> None:
    digits = sources.load("digits")
    assert digits.name == "digits"
    assert digits.classes == tuple("0123456789")
    assert digits.train.images.shape == (1400, 8, 8, 1)
    assert digits.require_test().images.shape == (397, 8, 8, 1)
    assert (digits.height, digits.width, digits.channels) == (8, 8, 1)


def test_the_two_splits_together_are_the_images_that_scikit_learn_bundles() -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    digits, bundled = sources.load("digits"), datasets.load_digits()
    test = digits.require_test()
    images = np.concatenate([digits.train.images, test.images]).reshape(-1, 64)
    labels = np.concatenate([digits.train.labels, test.labels])
    # 0..16 back from 0..255: each of the 17 levels must have kept its own value.
    ours = np.column_stack([np.rint(images / 255 * 16).astype(int), labels])
    theirs = np.column_stack([bundled.data.astype(int), bundled.target])
    assert np.array_equal(ours[np.lexsort(ours.T)], theirs[np.lexsort(theirs.T)])


def test_grey_levels_span_the_whole_range() -> None:
    levels = np.unique(sources.load("digits").train.images)
    assert levels.tolist() == [(v * 255 + 8) // 16 for v in range(17)]
    assert (levels[0], levels[-1]) == (0, 255)


def test_reading_digits_imports_nothing_large() -> None:
    program = (
        "import sys, ddcodec.sources as s; s.load('digits').test; "
        "print({'torch', 'sklearn', 'pyarrow'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
