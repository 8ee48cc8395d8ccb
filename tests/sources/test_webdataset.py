from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ddcodec import sources
from ddcodec.errors import SourceError

PIXELS = np.random.default_rng(12).integers(0, 256, (9, 5, 4, 3), np.uint8)
LABELS = [0, 1, 2, 2, 1, 0, 1, 2, 0]


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def write_tar(path: Path, files: list[tuple[str, bytes]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as tar:
        for name, content in files:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def samples(start: int, stop: int, folder: str = "") -> list[tuple[str, bytes]]:
    files = []
    for i in range(start, stop):
        key = f"{folder}sample_{i:04d}"
        files += [(f"{key}.cls", b"%d\n" % LABELS[i]), (f"{key}.PNG", png(PIXELS[i]))]
        files += [(f"{key}.soft.npy", b"whatever"), (f"{folder}._sample_{i}.PNG", b"finder")]
    return files


@pytest.mark.parametrize("split", ["test", "validation", "val"])
@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tgz"])
def test_shards_give_samples_in_order(tmp_path: Path, split: str, suffix: str) -> None:
    root = tmp_path / "pets"
    write_tar(root / f"pets-train-000001{suffix}", samples(3, 6))
    write_tar(root / f"pets-train-000000{suffix}", samples(0, 3, "deep/er/"))
    write_tar(root / f"pets-{split}-000000{suffix}", samples(6, 9))
    source = sources.load(root)
    assert source.name == "pets"
    assert source.classes == ("0", "1", "2")
    assert np.array_equal(source.train.images, PIXELS[:6])
    assert source.train.labels.tolist() == LABELS[:6]
    assert np.array_equal(source.require_test().images, PIXELS[6:])
    assert source.require_test().labels.tolist() == LABELS[6:]


def test_shards_may_lie_in_folders_and_have_class_names(tmp_path: Path) -> None:
    write_tar(tmp_path / "train" / "00000.tar", samples(0, 6))
    write_tar(tmp_path / "val" / "00000.tar", samples(6, 9))
    (tmp_path / "classes.txt").write_text("ant\nbee\ncat\n")
    source = sources.load(tmp_path, size=2)
    assert source.classes == ("ant", "bee", "cat")
    assert source.train.images.shape == (6, 2, 2, 3)
    assert len(source.require_test()) == 3


def test_unpacked_class_folders_come_before_the_archives_beside_them(tmp_path: Path) -> None:
    write_tar(tmp_path / "img_train.tar", [("n01.tar", b"as ImageNet is published")])
    write_tar(tmp_path / "train" / "n01.tar", [("1.png", png(PIXELS[1]))])
    (tmp_path / "train" / "n01").mkdir()
    (tmp_path / "train" / "n01" / "1.png").write_bytes(png(PIXELS[1]))
    assert np.array_equal(sources.load(tmp_path).train.images, PIXELS[1:2])


@pytest.mark.parametrize("name", ["pets.tar", "pets.tar.gz"])
def test_one_archive_is_a_source_without_test_split(tmp_path: Path, name: str) -> None:
    source = sources.load(write_tar(tmp_path / name, samples(0, 9)))
    assert source.name == "pets"
    assert len(source.train) == 9
    assert source.test is None


def test_labels_may_stand_in_json(tmp_path: Path) -> None:
    files = []
    for i, label in enumerate([0, 1, 1]):
        files += [
            (f"{i}.png", png(PIXELS[i])),
            (f"{i}.json", json.dumps({"label": label}).encode()),
        ]
    assert sources.load(write_tar(tmp_path / "a.tar", files)).train.labels.tolist() == [0, 1, 1]


IMAGE = png(PIXELS[0])


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ([], "has no images"),
        ([("a.png", IMAGE)], r"sample a: has neither a \.cls nor a \.json"),
        ([("a.png", IMAGE), ("a.json", b"[" * 99999)], r"sample a: has neither"),
        ([("a.png", IMAGE), ("a.json", b'{"label": 1.5}')], r"sample a: the label in its \.json"),
        ([("a.png", IMAGE), ("a.json", b'{"label": true}')], r"sample a: the label in its \.json"),
        (
            [("a.png", IMAGE), ("a.cls", b"cat")],
            r"sample a: its \.cls is no class number but b'cat'",
        ),
        ([("a.png", IMAGE), ("a.cls", b"-1")], r"its \.cls is no class number but b'-1'"),
        ([("a.cls", b"0")], "sample a: has no images; a sample needs one"),
        ([("a.cls", b"0"), ("a.png", IMAGE), ("a.jpg", IMAGE)], "sample a: has 2 images"),
        ([("a.cls", b"0"), ("a.png", IMAGE), ("a.png", IMAGE)], r"sample a: holds \.png twice"),
        ([("a.cls", b"0"), ("a.png", b"junk")], r"sample a: is not an image"),
        ([("a.cls", b"0"), ("b.cls", b"0"), ("a.png", IMAGE)], "sample a: has neither"),
        ([("a.cls", b"1"), ("a.png", IMAGE)], "the label 1 but only 1 images"),
    ],
)
def test_a_broken_sample_is_named(
    tmp_path: Path, files: list[tuple[str, bytes]], words: str
) -> None:
    path = write_tar(tmp_path / "toy.tar", files)
    with pytest.raises(SourceError, match=words) as refusal:
        read_train(path)
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def read_train(path: Path) -> None:
    _ = sources.load(path).train


@pytest.mark.parametrize("name", ["toy.tar", "toy.tar.gz"])
def test_a_damaged_archive_gives_one_line_or_images(tmp_path: Path, name: str) -> None:
    path = write_tar(tmp_path / name, samples(0, 3))
    whole = path.read_bytes()
    refused = 0
    for at in range(0, len(whole), 1 + len(whole) // 300):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x5A]) + whole[at + 1 :])
        line, stack = "", PIXELS
        try:
            stack = sources.load(path).train.images
        except SourceError as refusal:
            line = str(refusal)
        refused += bool(line)
        assert "\n" not in line
        assert len(stack) > 0
    assert refused > 50
