from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ddcodec import sources
from ddcodec.errors import MissingExtra, SourceError, UsageError

GREY = np.random.default_rng(7).integers(0, 256, (2, 4, 4), np.uint8)
Write = Callable[..., Path]


def test_the_known_names_are_listed() -> None:
    assert {"digits", "cifar10", "cifar100"} <= set(sources.names())


def test_a_name_is_found_in_the_data_folder_then_in_the_cache(
    write_images: Write, no_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_images({"train/cached/1.png": GREY[0]}, "cache/ddcodec/cifar10")
    assert sources.load("cifar10").classes == ("cached",)
    write_images({"train/given/1.png": GREY[0]}, "data/cifar10")
    monkeypatch.setenv("DDCODEC_DATA", str(no_data / "data"))
    assert sources.load("cifar10").classes == ("given",)
    assert sources.load("cifar10").name == "cifar10"


def test_the_cache_is_in_the_home_folder_unless_told_otherwise(
    write_images: Write, no_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_images({"train/home/1.png": GREY[0]}, ".cache/ddcodec/cifar100")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(no_data))
    assert sources.load("cifar100").classes == ("home",)


def test_a_known_name_is_never_a_folder_of_that_name(
    write_images: Write, no_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_images({"train/here/1.png": GREY[0]}, "cifar10")
    with pytest.raises(SourceError, match=r"for the folder of that name here write \./cifar10"):
        sources.load("cifar10")
    assert sources.load("./cifar10").classes == ("here",)
    assert sources.load(Path("cifar10")).classes == ("here",)
    write_images({"train/known/1.png": GREY[0]}, "data/cifar10")
    monkeypatch.setenv("DDCODEC_DATA", str(no_data / "data"))
    assert sources.load("cifar10").classes == ("known",)


@pytest.mark.parametrize("size", [0, -3, 4097])
def test_a_size_out_of_range_is_an_error_of_use(size: int) -> None:
    with pytest.raises(UsageError, match=f"`size` must be from 1 to 4096, got {size}"):
        sources.load("digits", size=size)


def test_a_size_scales_a_bundled_and_a_local_source(write_images: Write) -> None:
    assert sources.load("digits", size=5).train.images.shape == (1400, 5, 5, 1)
    root = write_images({"train/a/1.png": GREY[0], "train/a/2.png": GREY[1][:3]})
    assert sources.load(root, size=2).train.images.shape == (2, 2, 2, 1)


def test_a_name_that_is_not_there_says_where_it_was_looked_for(
    no_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DDCODEC_DATA", str(no_data / "data"))
    with pytest.raises(SourceError) as refusal:
        sources.load("cifar100")
    said = str(refusal.value)
    assert str(no_data / "data" / "cifar100") in said
    assert str(no_data / "cache" / "ddcodec" / "cifar100") in said
    assert "DDCODEC_DATA" in said
    assert "`download` fetches about 142 MB" in said
    assert "\n" not in said


def test_an_unknown_name_lists_the_known_ones(no_data: Path) -> None:
    with pytest.raises(SourceError, match="no such file or folder") as refusal:
        sources.load("cifar11")
    assert all(name in str(refusal.value) for name in sources.names())


def test_digits_is_a_name_and_a_path_object_is_a_path(no_data: Path) -> None:
    with pytest.raises(SourceError, match="digits: no such file or folder"):
        sources.load(Path("digits"))


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("cifar.zip", "unpack it first"),
        ("train-0.parquet", "give the folder it lies in"),
        ("a.ddset", "ddcodec decode makes images of it"),
    ],
)
def test_a_file_that_is_no_source_says_what_would_be(no_data: Path, file: str, words: str) -> None:
    (no_data / file).write_bytes(b"x")
    with pytest.raises(SourceError, match=words):
        sources.load(file)


def test_a_folder_that_may_not_be_read_gives_one_line(
    write_images: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_images({"train/a/1.png": GREY[0]})

    def refuse(self: Path) -> Any:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(SourceError, match="cannot be read: Permission denied"):
        sources.load(root)


def test_a_missing_library_names_the_extra_that_brings_it(
    no_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (no_data / "shards").mkdir()
    (no_data / "shards" / "train-0.parquet").write_bytes(b"x")
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "pyarrow" else find(name, *rest),
    )
    with pytest.raises(MissingExtra, match=r"pip install 'ddcodec\[data\]'"):
        sources.load("shards")
