"""Tiny-ImageNet and CUB-200-2011, laid out as their authors publish them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ddcodec import sources
from ddcodec.errors import SourceError

RANDOM = np.random.default_rng(11)
Spoil = Callable[[Path], object]


def write(path: Path, height: int = 6, width: int = 6) -> np.ndarray:
    pixels = RANDOM.integers(0, 256, (height, width, 3), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        Image.fromarray(pixels).save(file, "PNG")  # lossless, whatever the name says
    return pixels


@pytest.fixture
def tiny(tmp_path: Path) -> tuple[Path, list[np.ndarray]]:
    """Two classes with two images each; val images whose order differs from the folder's."""
    root = tmp_path / "tiny-imagenet-200"
    for wnid in ("n02", "n01"):
        for i in range(2):
            write(root / "train" / wnid / "images" / f"{wnid}_{i}.JPEG")
        (root / "train" / wnid / f"{wnid}_boxes.txt").write_text("n01_0.JPEG\t0\t0\t5\t5\n")
    write(root / "test" / "images" / "test_0.JPEG")  # without labels, as published
    val = [write(root / "val" / "images" / f"val_{i}.JPEG") for i in range(3)]
    lines = [
        f"val_{i}.JPEG\t{wnid}\t0\t0\t5\t5" for i, wnid in [(2, "n02"), (0, "n01"), (1, "n02")]
    ]
    (root / "val" / "val_annotations.txt").write_text("\n".join(lines) + "\n")
    return root, [val[2], val[0], val[1]]


def test_tiny_imagenet_is_read_with_its_annotations(
    tiny: tuple[Path, list[np.ndarray]],
) -> None:
    root, val = tiny
    for place in (root, root.parent):
        source = sources.load(place)
        assert source.name == "tiny-imagenet"
        assert source.classes == ("n01", "n02")
        assert source.train.labels.tolist() == [0, 0, 1, 1]
        assert source.require_test().labels.tolist() == [1, 0, 1]
        assert np.array_equal(source.require_test().images, val)
    assert sources.load(root, size=3).require_test().images.shape == (3, 3, 3, 3)


def annotate(line: str) -> Spoil:
    return lambda root: (root / "val" / "val_annotations.txt").write_text(line + "\n")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (annotate("../val_annotations.txt\tn01"), r"annotations\.txt line 1: .* does not lie in"),
        (annotate("/etc/passwd\tn01"), "line 1: '/etc/passwd' does not lie in"),
        (annotate("val_9.JPEG\tn01"), "line 1: 'val_9.JPEG' does not lie in"),
        (annotate("val_0.JPEG\tn09"), "line 1: 'n09' is no folder of .*train"),
        (annotate("val_0.JPEG"), "line 1: '' is no folder"),
        (annotate("val_0.JPEG\tn01\nval_0.JPEG\tn01"), "line 2: 'val_0.JPEG' does not lie"),
        (annotate("val_0.JPEG\tn01"), r"val_\d\.JPEG: has no line in"),
        (lambda root: write(root / "val" / "images" / "val_1.JPEG", 7), r"val_1\.JPEG: is 6x7"),
    ],
)
def test_annotations_that_do_not_fit_are_named(
    tiny: tuple[Path, list[np.ndarray]], spoil: Spoil, words: str
) -> None:
    spoil(tiny[0])
    source = sources.load(tiny[0])
    with pytest.raises(SourceError, match=words) as refusal:
        _ = source.test
    assert "\n" not in str(refusal.value)


BIRDS = ["001.Black_Crow/crow_2.jpg", "001.Black_Crow/crow_1.jpg", "002.Owl/owl.jpg"]
BIRDS += ["002.Owl/grey.jpg"]


@pytest.fixture
def cub(tmp_path: Path) -> tuple[Path, list[np.ndarray]]:
    root = tmp_path / "CUB_200_2011"
    pixels = [write(root / "images" / name, 40 + i, 50) for i, name in enumerate(BIRDS)]
    tables = {
        "images.txt": BIRDS,
        "image_class_labels.txt": ["1", "1", "2", "2"],
        "train_test_split.txt": ["1", "0", "1", "0"],
        "classes.txt": ["001.Black_Crow", "002.Owl"],
    }
    for name, rows in tables.items():
        lines = [f"{i} {row}\n" for i, row in enumerate(rows, 1)]
        (root / name).write_text("".join(lines))
    return root, pixels


def test_cub_is_split_by_its_tables_and_scaled(cub: tuple[Path, list[np.ndarray]]) -> None:
    root, pixels = cub
    for place in (root, root.parent):
        source = sources.load(place)
        assert source.name == "cub200"
        assert source.classes == ("001.Black_Crow", "002.Owl")
        assert source.train.images.shape == (2, 32, 32, 3)
        assert source.train.labels.tolist() == [0, 1]
        assert source.require_test().labels.tolist() == [0, 1]
    sharp = sources.load(root, size=41).require_test().images
    assert np.array_equal(sharp[0], pixels[1][:, 4:45])  # 41 high already: only cut


def table(name: str, text: str) -> Spoil:
    return lambda root: (root / name).write_text(text)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (table("images.txt", "1 ../../x.jpg\n2 b\n3 c\n4 d\n"), "lacks '../../x.jpg', which"),
        (table("images.txt", "1 a\n1 b\n"), r"images\.txt line 2: .* there twice"),
        (table("images.txt", "1\n"), r"images\.txt line 1: is not a number and a word"),
        (table("images.txt", ""), r"images\.txt: is empty"),
        (table("train_test_split.txt", "1 1\n"), r"train_test_split\.txt: does not list the same"),
        (table("image_class_labels.txt", "1 9\n2 1\n3 1\n4 1\n"), "class '9' is not in classes"),
        (table("classes.txt", "1 a\n3 b\n"), r"classes\.txt: does not number the classes 1, 2"),
        (table("classes.txt", "x a\n2 b\n"), r"classes\.txt: does not number the classes 1, 2"),
        (table("train_test_split.txt", "1 1\n2 1\n3 0\n4 0\n"), "'002.Owl' has no training"),
        (lambda root: (root / "images" / BIRDS[0]).write_bytes(b"x"), "crow_2.jpg: is not an"),
    ],
)
def test_tables_that_do_not_fit_are_named(
    cub: tuple[Path, list[np.ndarray]], spoil: Spoil, words: str
) -> None:
    spoil(cub[0])
    with pytest.raises(SourceError, match=words) as refusal:
        read_train(cub[0])
    assert "\n" not in str(refusal.value)
    assert str(cub[0]) in str(refusal.value)


def read_train(root: Path) -> None:
    _ = sources.load(root).train
