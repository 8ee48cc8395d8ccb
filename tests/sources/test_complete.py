"""What has not come whole is refused with what is missing, for every kind of source."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ddcodec import sources
from ddcodec.errors import SourceError
from ddcodec.sources.complete import require_all

Write = Callable[..., Path]
GREY = np.zeros((4, 4), np.uint8)
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"


def touch(folder: Path, *names: str) -> list[Path]:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_text("x")
    return sorted(folder / name for name in names)


@pytest.mark.parametrize(
    ("names", "lacking"),
    [
        (
            ["train-00000-of-00003.parquet", "train-00002-of-00003.parquet"],
            "train-00001-of-00003.parquet",
        ),
        (["train-00000-of-00003-0a1b.parquet"], "train-00001-of-00003-0a1b.parquet and 1 more"),
        (["train-1-of-3.tar", "train-2-of-3.tar"], "train-0-of-3.tar"),
        (["train-1-of-3.tar", "train-3-of-3.tar"], "train-2-of-3.tar"),
        (["0000.parquet", "0002.parquet"], "0001.parquet"),
        (["0001.parquet", "0002.parquet"], "0000.parquet"),
        (["train-000000.tar", "train-000001.tar", "train-000003.tar"], "train-000002.tar"),
        (["train9.tar", "train10.tar"], "train1.tar and 7 more"),
        (["a-2.tar.gz", "a-3.tar.gz"], "a-1.tar.gz"),
    ],
)
def test_a_missing_shard_is_named(tmp_path: Path, names: list[str], lacking: str) -> None:
    with pytest.raises(SourceError) as refusal:
        require_all(touch(tmp_path, *names))
    assert f"{tmp_path}: lacks {lacking} of the shards" in str(refusal.value)


@pytest.mark.parametrize(
    "names",
    [
        ["train.tar"],
        ["train-2017.tar"],
        ["train-0.tar", "train-1.tar"],
        ["train-1.tar", "train-2.tar"],
        ["a-0.tar", "a-1.tar", "b-0.tar", "b-1.tar", "b-2.tar"],
        ["train-00000-of-00001.parquet"],
        ["train-1-of-2.tar", "train-2-of-2.tar"],
        [f"{i}.tar" for i in range(12)],
    ],
)
def test_whole_sets_are_taken(tmp_path: Path, names: list[str]) -> None:
    require_all(touch(tmp_path, *names))


def test_two_sets_in_one_folder_are_not_mixed(tmp_path: Path) -> None:
    names = [f"train-0000{i}-of-0000{n}.parquet" for n in (2, 3) for i in range(n)]
    with pytest.raises(SourceError, match="mixes two sets of shards"):
        require_all(touch(tmp_path, *names))


def folder(root: Path, write: Write) -> Path:
    return write({"train/a/1.png": GREY, "train/b/1.png": GREY})


def archive(root: Path, write: Write) -> Path:
    picture = io.BytesIO()
    Image.fromarray(GREY).save(picture, "PNG")
    (root / "tars").mkdir()
    with tarfile.open(root / "tars" / "train-0.tar", "w") as file:
        for name, data in (("0.png", picture.getvalue()), ("0.cls", b"0")):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            file.addfile(entry, io.BytesIO(data))
    return root / "tars"


def arrays(root: Path, write: Write) -> Path:
    np.savez(root / "a.npz", train_images=GREY[None], train_labels=np.array([0]))
    return root / "a.npz"


@pytest.mark.parametrize(("make", "beside"), [(folder, "train/a/2.png"), (archive, "train-1.tar")])
@pytest.mark.parametrize("end", [".part", ".crdownload", ".incomplete", ".aria2", ".PARTIAL"])
def test_an_unfinished_download_is_named(
    tmp_path: Path, write_images: Write, make: Write, beside: str, end: str
) -> None:
    root = make(tmp_path, write_images)
    _ = sources.load(root).train
    (root / (beside + end)).write_bytes(b"x")
    with pytest.raises(SourceError, match="is an unfinished download; finish it, or remove it"):
        _ = sources.load(root).train


@pytest.mark.parametrize("make", [archive, arrays])
def test_an_unfinished_download_beside_a_file_is_named(
    tmp_path: Path, write_images: Write, make: Write
) -> None:
    path = make(tmp_path, write_images)
    path = path / "train-0.tar" if path.is_dir() else path
    path.with_name(path.name + ".aria2").write_bytes(b"x")
    with pytest.raises(SourceError, match=rf"{path.name}\.aria2: is an unfinished download"):
        sources.load(path)


@pytest.mark.parametrize(
    ("make", "file"), [(folder, "train/a/1.png"), (archive, "train-0.tar"), (arrays, "")]
)
@pytest.mark.parametrize(
    ("content", "words"), [(POINTER, "is a Git LFS pointer.*git lfs pull"), ("", "is empty|is not")]
)
def test_pointers_and_empty_files_are_named(
    tmp_path: Path, write_images: Write, make: Write, file: str, content: str, words: str
) -> None:
    root = make(tmp_path, write_images)
    (root / file if file else root).write_text(content)
    with pytest.raises(SourceError, match=words) as refusal:
        _ = sources.load(root).train
    assert str(root) in str(refusal.value)


@pytest.mark.parametrize("make", [archive, arrays])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_file_that_is_cut_short_is_refused(
    tmp_path: Path, write_images: Write, make: Write, share: float
) -> None:
    path = make(tmp_path, write_images)
    path = path / "train-0.tar" if path.is_dir() else path
    data = path.read_bytes()
    held = data if path.suffix == ".npz" else data[:2560]  # a tar's end is filled with zeros
    path.write_bytes(held[: int(share * len(held))])
    with pytest.raises(SourceError, match=r"(again|damaged|archive)"):
        _ = sources.load(path).train


def test_the_hubs_own_left_overs_are_seen(tmp_path: Path, write_shard: Write) -> None:
    root = write_shard("train-0.parquet", [b"x"], [0])
    left = root / ".cache" / "huggingface" / "download" / "data" / "x.incomplete"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"")
    with pytest.raises(SourceError, match=r"x\.incomplete: is an unfinished download"):
        sources.load(root)
