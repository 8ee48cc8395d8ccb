"""The download path against a local server that answers as the Hugging Face hub does."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ddcodec import sources
from ddcodec.errors import MissingExtra, SourceError
from ddcodec.sources import hub, layouts, named
from ddcodec.sources.named import KNOWN
from tests.helpers.local_hub import LocalHub

pytest.importorskip("huggingface_hub")
pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

PIXELS = np.random.default_rng(13).integers(0, 256, (6, 28, 28), np.uint8)
REVISION = KNOWN["fashion-mnist"].revision
REPO = KNOWN["fashion-mnist"].repo


def shard(images: np.ndarray) -> bytes:
    cells = []
    for image in images:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "PNG")
        cells.append({"bytes": buffer.getvalue(), "path": None})
    out = io.BytesIO()
    pq.write_table(pa.table({"image": cells, "label": list(range(len(images)))}), out)
    return out.getvalue()


FOLDER = "fashion_mnist"


@pytest.fixture
def server(hub: LocalHub, no_data: Path, monkeypatch: pytest.MonkeyPatch) -> LocalHub:
    """The hub with two shards of the data set at the pinned revision, and other files."""
    files = {
        f"{FOLDER}/train-00000-of-00001.parquet": shard(PIXELS[:4]),
        f"{FOLDER}/test-00000-of-00001.parquet": shard(PIXELS[4:]),
        "README.md": b"about",
        "train-images-idx3-ubyte.gz": b"not asked for",
    }
    hub.create(REPO).commits.append((REVISION, files))
    monkeypatch.setenv("DDCODEC_DATA", str(no_data / "data"))
    return hub


def held(server: LocalHub) -> dict[str, bytes]:
    """Return the files at the pinned revision, to be changed."""
    return server.repositories[REPO].commits[-1][1]


def digest(server: LocalHub, name: str) -> str:
    return hashlib.sha256(held(server)[name]).hexdigest()


def parquet_gets(server: LocalHub) -> list[tuple[str, str | None]]:
    return [(path.rpartition("/")[2], part) for path, part in server.gets()]


def test_a_data_set_is_fetched_once_and_read(server: LocalHub, no_data: Path) -> None:
    source = sources.load("fashion-mnist", download=True)
    assert source.name == "fashion-mnist"
    assert np.array_equal(source.train.images[..., 0], PIXELS[:4])
    assert np.array_equal(source.require_test().images[..., 0], PIXELS[4:])
    names = ["test-00000-of-00001.parquet", "train-00000-of-00001.parquet"]
    assert [name for name, _ in parquet_gets(server)] == names
    assert all(REVISION in path for _, path, _ in server.asked if "/cdn/" not in path)
    place = no_data / "data" / "fashion-mnist"
    assert sorted(p.name for p in place.rglob("*") if p.is_file()) == names
    assert [p.name for p in (no_data / "data").iterdir()] == ["fashion-mnist"]
    server.status = 500
    assert len(sources.load("fashion-mnist", download=True).train) == 4  # from the disk


def test_an_empty_folder_is_no_data_set(server: LocalHub, no_data: Path) -> None:
    (no_data / "data" / "fashion-mnist").mkdir(parents=True)
    with pytest.raises(SourceError, match="fashion-mnist: not found; looked in"):
        sources.load("fashion-mnist")
    assert len(sources.load("fashion-mnist", download=True).train) == 4


def test_nothing_is_asked_of_the_hub_without_consent(server: LocalHub, no_data: Path) -> None:
    with pytest.raises(SourceError, match="`download` fetches about 36 MB") as refusal:
        sources.load("fashion-mnist")
    assert str(no_data / "data" / "fashion-mnist") in str(refusal.value)
    assert server.asked == []


def test_a_broken_line_is_taken_up_where_it_broke(
    server: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 100)
    server.cut_at = 1000
    assert len(sources.load("fashion-mnist", download=True).train) == 4
    name = "test-00000-of-00001.parquet"
    assert parquet_gets(server)[:2] == [(name, None), (name, "bytes=1000-")]


def test_what_has_come_whole_is_not_fetched_again(server: LocalHub, no_data: Path) -> None:
    train = "fashion_mnist/train-00000-of-00001.parquet"
    server.lost.add(train)
    with pytest.raises(SourceError, match=r"what has come is kept in .*run the same command") as no:
        sources.load("fashion-mnist", download=True)
    assert "\n" not in str(no.value)
    assert not (no_data / "data" / "fashion-mnist").exists()
    server.lost.clear()
    server.asked.clear()
    assert len(sources.load("fashion-mnist", download=True).train) == 4
    assert [name for name, _ in parquet_gets(server)] == ["train-00000-of-00001.parquet"]


def test_a_file_that_arrives_changed_is_removed(server: LocalHub, no_data: Path) -> None:
    name = "fashion_mnist/train-00000-of-00001.parquet"
    good = held(server)[name]
    server.stated[name] = digest(server, name)
    held(server)[name] = good[:-1] + bytes([good[-1] ^ 1])
    with pytest.raises(SourceError, match=r"train-0.*arrived with SHA-256 [0-9a-f]{64}, not"):
        sources.load("fashion-mnist", download=True)
    assert not (no_data / "data" / "fashion-mnist").exists()
    held(server)[name] = good
    assert len(sources.load("fashion-mnist", download=True).train) == 4


def pin(monkeypatch: pytest.MonkeyPatch, digests: dict[str, str]) -> None:
    known = replace(KNOWN["fashion-mnist"], sha256=MappingProxyType(digests))
    for module in (named, layouts):
        monkeypatch.setattr(module, "KNOWN", MappingProxyType({"fashion-mnist": known}))


def test_a_digest_of_our_own_comes_before_the_hubs(
    server: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    pin(monkeypatch, {"test-00000-of-00001.parquet": "0" * 64})
    with pytest.raises(SourceError, match=r"states another SHA-256 or none for .*test-00000"):
        sources.load("fashion-mnist", download=True)
    assert parquet_gets(server) == []
    name = "test-00000-of-00001.parquet"
    pin(monkeypatch, {name: digest(server, f"fashion_mnist/{name}")})
    assert len(sources.load("fashion-mnist", download=True).train) == 4


def test_names_that_lead_out_of_the_folder_are_never_asked_for(
    server: LocalHub, no_data: Path
) -> None:
    for name in ("../train-00000-of-00001.parquet", "fashion_mnist/../train-0-of-1.parquet"):
        held(server)[name] = b"x"
    sources.load("fashion-mnist", download=True)
    assert all(".." not in path for _, path, _ in server.asked)


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_split_that_the_hub_lacks_is_named(server: LocalHub, split: str) -> None:
    del held(server)[f"fashion_mnist/{split}-00000-of-00001.parquet"]
    with pytest.raises(SourceError, match=f"has no {split} files at revision {REVISION}"):
        sources.load("fashion-mnist", download=True)


@pytest.mark.parametrize(("status", "words"), [(404, "cannot be fetched"), (403, "hf auth login")])
def test_a_refusal_of_the_hub_is_one_line(server: LocalHub, status: int, words: str) -> None:
    server.status = status
    server.headers = {"X_Error_Code": "GatedRepo"} if status == 403 else {}
    with pytest.raises(SourceError, match=words) as refusal:
        sources.load("fashion-mnist", download=True)
    assert "\n" not in str(refusal.value)
    assert f"/datasets/{REPO}" in str(refusal.value)


def test_offline_says_so_and_where_the_files_would_be(
    server: LocalHub, no_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = str(no_data / "data" / "fashion-mnist")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(SourceError, match="HF_HUB_OFFLINE is set") as offline:
        sources.load("fashion-mnist", download=True)
    assert f"{place} is not there" in str(offline.value)
    assert server.asked == []
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(SourceError, match=r"cannot be fetched from http://127\.0\.0\.1:1/") as dead:
        sources.load("fashion-mnist", download=True)
    assert "\n" not in str(dead.value)


def test_a_full_disk_is_seen_before_the_download(
    server: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage: Callable[..., Any] = lambda _: type("Usage", (), {"free": 10})  # noqa: E731
    monkeypatch.setattr(hub.shutil, "disk_usage", usage)
    with pytest.raises(SourceError, match=r"needs 0 MB in .*partial, where 0 MB are free"):
        sources.load("fashion-mnist", download=True)
    assert parquet_gets(server) == []


def test_without_the_library_the_extra_is_named(
    no_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=r"pip install 'ddcodec\[data\]'"):
        sources.load("cifar10", download=True)


def test_the_table_is_well_formed() -> None:
    for known in KNOWN.values():
        assert re.fullmatch(r"[0-9a-f]{40}", known.revision)
        assert re.fullmatch(r"[\w-]+/[\w-]+", known.repo)
        assert re.fullmatch(r"[\w]+", known.folder)
        assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in known.sha256.values())
        assert known.megabytes > 0
