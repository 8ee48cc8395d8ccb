from __future__ import annotations

import io
import os
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ddcodec import sources
from ddcodec.errors import SourceError
from ddcodec.sources import archive
from ddcodec.sources.cifar import EDITIONS, Edition

RANDOM = np.random.default_rng(9)
IMAGES = RANDOM.integers(0, 256, (18, 32, 32, 3), np.uint8)
LABELS = RANDOM.permutation(np.arange(18) % 3)
NAMES = ["ant", "bee", "cat"]
Files = dict[str, bytes]


def packed(images: np.ndarray) -> np.ndarray:
    return images.transpose(0, 3, 1, 2).reshape(len(images), -1)


def files_of(edition: Edition) -> Files:
    """15 images to train and 3 to test, as the edition holds them."""
    each = 15 // len(edition.train)
    parts = {n: slice(i * each, (i + 1) * each) for i, n in enumerate(edition.train)}
    parts[edition.test] = slice(15, 18)
    files: Files = {}
    for name, part in parts.items():
        data, labels = packed(IMAGES[part]), LABELS[part]
        if edition.binary:
            coarse = [np.zeros((len(data), 1), np.uint8)] * int(edition.labels)
            files[name] = np.hstack([*coarse, labels[:, None].astype(np.uint8), data]).tobytes()
        else:
            batch = {b"data": data, str(edition.labels).encode(): labels.tolist()}
            files[name] = pickle.dumps(batch, 2)
    if edition.binary:
        files[edition.meta] = "\n".join([*NAMES, "", ""]).encode()
    else:
        meta = {edition.names.encode(): [name.encode() for name in NAMES]}
        files[edition.meta] = pickle.dumps(meta, 2)
    return files


def write_folder(root: Path, edition: Edition, files: Files) -> Path:
    folder = root / edition.folder
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def write_archive(root: Path, edition: Edition, files: Files, **options: Any) -> Path:
    path = root / edition.archive
    with tarfile.open(path, "w:gz", **options) as tar:
        folder = tarfile.TarInfo(edition.folder)
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for name, content in files.items():
            info = tarfile.TarInfo(f"{edition.folder}/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def check(source: sources.Source, edition: Edition) -> None:
    assert source.name == edition.name
    assert source.classes == tuple(NAMES)
    assert np.array_equal(source.train.images, IMAGES[:15])
    assert source.train.labels.tolist() == LABELS[:15].tolist()
    assert np.array_equal(source.require_test().images, IMAGES[15:])
    assert source.require_test().labels.tolist() == LABELS[15:].tolist()


@pytest.mark.parametrize("edition", EDITIONS, ids=lambda e: e.folder)
@pytest.mark.parametrize("write", [write_folder, write_archive])
def test_every_edition_is_read_packed_and_unpacked(
    tmp_path: Path, edition: Edition, write: Callable[..., Path]
) -> None:
    place = write(tmp_path, edition, files_of(edition))
    check(sources.load(place), edition)
    check(sources.load(tmp_path), edition)  # the folder in which one has put it


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_form_of_tar_is_read(tmp_path: Path, form: int) -> None:
    path = write_archive(tmp_path, EDITIONS[0], files_of(EDITIONS[0]), format=form)
    check(sources.load(path), EDITIONS[0])


def test_a_known_name_finds_an_archive_in_its_folder(
    no_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (no_data / "data" / "cifar100").mkdir(parents=True)
    write_archive(no_data / "data" / "cifar100", EDITIONS[2], files_of(EDITIONS[2]))
    monkeypatch.setenv("DDCODEC_DATA", str(no_data / "data"))
    check(sources.load("cifar100"), EDITIONS[2])


def test_a_size_scales_the_images(tmp_path: Path) -> None:
    place = write_folder(tmp_path, EDITIONS[1], files_of(EDITIONS[1]))
    assert sources.load(place, size=8).train.images.shape == (15, 8, 8, 3)


class Command:
    def __reduce__(self) -> Any:
        return os.mkdir, ("made-by-a-pickle",)


LABELLED = {b"labels": [0, 1, 2]}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (pickle.dumps(Command(), 2), "asks for .*mkdir.*, which plain data does not need"),
        (pickle.dumps([1], 2), "holds no dict"),
        (pickle.dumps({}, 2), "has no entry 'data'"),
        (pickle.dumps({b"data": packed(IMAGES[:3])}, 2), "has no entry 'labels'"),
        (pickle.dumps(LABELLED | {b"data": b"abc"}, 2), r"no data of uint8 \(N, 3072\)"),
        (pickle.dumps(LABELLED | {b"data": IMAGES[:3]}, 2), r"no data of uint8 \(N, 3072\)"),
        (pickle.dumps(LABELLED | {b"data": packed(IMAGES[:2])}, 2), "2 images but 3 labels"),
        (
            pickle.dumps({b"data": packed(IMAGES[:1]), b"labels": [1.0]}, 2),
            "labels that are no list of integers",
        ),
        (pickle.dumps({b"data": packed(IMAGES[:1]), b"labels": [2**80]}, 2), "or wild ones"),
        (files_of(EDITIONS[0])["data_batch_2"][:-900], "is damaged"),
    ],
)
def test_a_broken_batch_is_named(
    tmp_path: Path, content: bytes, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = files_of(EDITIONS[0]) | {"data_batch_2": content}
    place = write_folder(tmp_path, EDITIONS[0], files)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match=f"data_batch_2 .*({words})") as refusal:
        _ = sources.load(place).train
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "made-by-a-pickle").exists()


def test_a_binary_file_of_broken_records_is_named(tmp_path: Path) -> None:
    files = files_of(EDITIONS[3])
    files["train.bin"] += b"x"
    place = write_folder(tmp_path, EDITIONS[3], files)
    with pytest.raises(SourceError, match=r"train\.bin has 46111 bytes, .* records of 3074"):
        _ = sources.load(place).train


def test_a_missing_batch_is_named(tmp_path: Path) -> None:
    files = files_of(EDITIONS[0])
    del files["data_batch_4"]
    with pytest.raises(SourceError, match="data_batch_4: is missing"):
        _ = sources.load(write_folder(tmp_path, EDITIONS[0], files)).train
    with pytest.raises(SourceError, match=r"gz: holds no file 'data_batch_4'"):
        _ = sources.load(write_archive(tmp_path, EDITIONS[0], files)).train


def test_a_truncated_archive_is_named_wherever_it_ends(tmp_path: Path) -> None:
    path = write_archive(tmp_path, EDITIONS[0], files_of(EDITIONS[0]), compresslevel=1)
    whole = path.read_bytes()
    for share in range(1, 20, 2):
        path.write_bytes(whole[: len(whole) * share // 20])
        with pytest.raises(SourceError, match=r"python\.tar\.gz: ") as refusal:
            _ = sources.load(path).test
        assert "\n" not in str(refusal.value)


def test_a_file_of_absurd_size_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = files_of(EDITIONS[0])
    place = write_archive(tmp_path, EDITIONS[0], files)
    monkeypatch.setattr(archive, "FILE_MAX", 5000)
    with pytest.raises(SourceError, match=r"'cifar-10-batches-py/data_batch_1' has .* bytes, over"):
        _ = sources.load(place).train
    with pytest.raises(SourceError, match=r"data_batch_1: has .* bytes, over 5,000"):
        _ = sources.load(write_folder(tmp_path, EDITIONS[0], files)).train


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_a_link_in_an_archive_is_no_file(tmp_path: Path, kind: bytes) -> None:
    path = tmp_path / "links.tar"
    with tarfile.open(path, "w") as tar:
        info = tarfile.TarInfo("cifar-10-batches-py/data_batch_1")
        info.type, info.linkname = kind, "/etc/passwd"
        tar.addfile(info)
    assert list(archive.entries(path)) == []
    with pytest.raises(SourceError, match="holds no file 'data_batch_1'"):
        archive.read_files(path, ["data_batch_1"])


def test_a_giant_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "long.tar"
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        tar.addfile(tarfile.TarInfo("x" * 70000))
    with pytest.raises(SourceError, match="holds a name of 70,001 bytes"):
        list(archive.entries(path))


@pytest.mark.parametrize("name", ["x.tar", "x.tar.gz"])
@pytest.mark.parametrize("content", [b"", b"\x1f\x8b", b"not a tar" * 100])
def test_what_is_no_archive_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=name):
        sources.load(tmp_path / name)


def test_the_official_files_agree_with_the_hubs(tmp_path: Path, cifar10: sources.Source) -> None:
    """The real test images, written as the official binary test file, come back the same."""
    test = cifar10.require_test()
    files = files_of(EDITIONS[1])
    rows = np.hstack([test.labels[:, None].astype(np.uint8), packed(test.images)])
    files["test_batch.bin"] = rows.tobytes()
    files["batches.meta.txt"] = "\n".join(cifar10.classes).encode()
    read = sources.load(write_folder(tmp_path, EDITIONS[1], files))
    assert read.name == cifar10.name
    assert read.classes == cifar10.classes
    assert np.array_equal(read.require_test().images, test.images)
    assert Path(sources.load(tmp_path).where) == tmp_path / EDITIONS[1].folder
