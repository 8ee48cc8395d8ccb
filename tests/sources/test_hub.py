"""The download path against a local server that answers as the Hugging Face hub does."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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


class Hub:
    """What the server holds and what was asked of it."""

    def __init__(self) -> None:
        self.files = {
            "fashion_mnist/train-00000-of-00001.parquet": shard(PIXELS[:4]),
            "fashion_mnist/test-00000-of-00001.parquet": shard(PIXELS[4:]),
            "README.md": b"about",
            "train-images-idx3-ubyte.gz": b"not asked for",
        }
        self.stated = {name: self.digest(name) for name in self.files}
        self.asked: list[tuple[str, str, str | None]] = []
        self.status = 200
        self.cut_at: int | None = None  # bytes after which the line breaks, once
        self.lost: set[str] = set()  # files that are listed but not there

    def digest(self, name: str) -> str:
        return hashlib.sha256(self.files[name]).hexdigest()

    def info(self) -> dict[str, Any]:
        siblings = [
            {
                "rfilename": name,
                "size": len(content),
                "blobId": "0" * 40,
                "lfs": {"sha256": self.stated[name], "size": len(content), "pointerSize": 130},
            }
            for name, content in self.files.items()
        ]
        return {"id": REPO, "sha": REVISION, "tags": [], "siblings": siblings}


@pytest.fixture
def server(no_data: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    state = Hub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def reply(self, status: int, body: bytes, **headers: str) -> None:
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            state.asked.append((self.command, self.path, asked))
            if state.status != 200:
                gated = {"X_Error_Code": "GatedRepo"} if state.status == 403 else {}
                self.reply(state.status, b'{"error": "no"}', **gated)
            elif self.path.startswith(f"/api/datasets/{REPO}/revision/{REVISION}"):
                body = json.dumps(state.info()).encode()
                self.reply(200, body, Content_Type="application/json")
            else:
                name = self.path.removeprefix(f"/datasets/{REPO}/resolve/{REVISION}/")
                if name in state.files and name not in state.lost:
                    self.send_file(state.files[name], state.stated[name], asked)
                else:
                    self.reply(404, b"")

        def send_file(self, content: bytes, etag: str, asked: str | None) -> None:
            start = int(re.fullmatch(r"bytes=(\d+)-.*", asked)[1]) if asked else 0  # type: ignore[index]
            headers = {"ETag": f'"{etag}"', "X_Repo_Commit": REVISION, "Accept_Ranges": "bytes"}
            if asked:
                headers["Content_Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            if self.command == "GET" and state.cut_at is not None:
                self.send_response(200)
                for key, value in headers.items():
                    self.send_header(key.replace("_", "-"), value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[: state.cut_at])
                state.cut_at = None
                self.close_connection = True
                return
            self.reply(206 if asked else 200, content[start:], **headers)

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{listening.server_port}")
    # Telemetry asks the real hub for a list, whatever endpoint a call names.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_TELEMETRY", True)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("DDCODEC_DATA", str(no_data / "data"))
    yield state
    listening.shutdown()
    thread.join()
    listening.server_close()


def parquet_gets(state: Hub) -> list[tuple[str, str | None]]:
    return [(p.rpartition("/")[2], r) for c, p, r in state.asked if c == "GET" and "resolve" in p]


def test_a_data_set_is_fetched_once_and_read(server: Hub, no_data: Path) -> None:
    source = sources.load("fashion-mnist", download=True)
    assert source.name == "fashion-mnist"
    assert np.array_equal(source.train.images[..., 0], PIXELS[:4])
    assert np.array_equal(source.require_test().images[..., 0], PIXELS[4:])
    names = ["test-00000-of-00001.parquet", "train-00000-of-00001.parquet"]
    assert [name for name, _ in parquet_gets(server)] == names
    assert all(REVISION in path for _, path, _ in server.asked)
    place = no_data / "data" / "fashion-mnist"
    assert sorted(p.name for p in place.rglob("*") if p.is_file()) == names
    assert [p.name for p in (no_data / "data").iterdir()] == ["fashion-mnist"]
    server.status = 500
    assert len(sources.load("fashion-mnist", download=True).train) == 4  # from the disk


def test_an_empty_folder_is_no_data_set(server: Hub, no_data: Path) -> None:
    (no_data / "data" / "fashion-mnist").mkdir(parents=True)
    with pytest.raises(SourceError, match="fashion-mnist: not found; looked in"):
        sources.load("fashion-mnist")
    assert len(sources.load("fashion-mnist", download=True).train) == 4


def test_nothing_is_asked_of_the_hub_without_consent(server: Hub, no_data: Path) -> None:
    with pytest.raises(SourceError, match="`download` fetches about 36 MB") as refusal:
        sources.load("fashion-mnist")
    assert str(no_data / "data" / "fashion-mnist") in str(refusal.value)
    assert server.asked == []


def test_a_broken_line_is_taken_up_where_it_broke(
    server: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 100)
    server.cut_at = 1000
    assert len(sources.load("fashion-mnist", download=True).train) == 4
    name = "test-00000-of-00001.parquet"
    assert parquet_gets(server)[:2] == [(name, None), (name, "bytes=1000-")]


def test_what_has_come_whole_is_not_fetched_again(server: Hub, no_data: Path) -> None:
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


def test_a_file_that_arrives_changed_is_removed(server: Hub, no_data: Path) -> None:
    name = "fashion_mnist/train-00000-of-00001.parquet"
    good = server.files[name]
    server.files[name] = good[:-1] + bytes([good[-1] ^ 1])
    with pytest.raises(SourceError, match=r"train-0.*arrived with SHA-256 [0-9a-f]{64}, not"):
        sources.load("fashion-mnist", download=True)
    assert not (no_data / "data" / "fashion-mnist").exists()
    server.files[name] = good
    assert len(sources.load("fashion-mnist", download=True).train) == 4


def pin(monkeypatch: pytest.MonkeyPatch, digests: dict[str, str]) -> None:
    known = replace(KNOWN["fashion-mnist"], sha256=MappingProxyType(digests))
    for module in (named, layouts):
        monkeypatch.setattr(module, "KNOWN", MappingProxyType({"fashion-mnist": known}))


def test_a_digest_of_our_own_comes_before_the_hubs(
    server: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    pin(monkeypatch, {"test-00000-of-00001.parquet": "0" * 64})
    with pytest.raises(SourceError, match=r"states another SHA-256 or none for .*test-00000"):
        sources.load("fashion-mnist", download=True)
    assert parquet_gets(server) == []
    name = "test-00000-of-00001.parquet"
    pin(monkeypatch, {name: server.digest(f"fashion_mnist/{name}")})
    assert len(sources.load("fashion-mnist", download=True).train) == 4


def test_names_that_lead_out_of_the_folder_are_never_asked_for(server: Hub, no_data: Path) -> None:
    for name in ("../train-00000-of-00001.parquet", "fashion_mnist/../train-0-of-1.parquet"):
        server.files[name] = b"x"
        server.stated[name] = server.digest(name)
    sources.load("fashion-mnist", download=True)
    assert all(".." not in path for _, path, _ in server.asked)


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_split_that_the_hub_lacks_is_named(server: Hub, split: str) -> None:
    del server.files[f"fashion_mnist/{split}-00000-of-00001.parquet"]
    with pytest.raises(SourceError, match=f"has no {split} files at revision {REVISION}"):
        sources.load("fashion-mnist", download=True)


@pytest.mark.parametrize(("status", "words"), [(404, "cannot be fetched"), (403, "hf auth login")])
def test_a_refusal_of_the_hub_is_one_line(server: Hub, status: int, words: str) -> None:
    server.status = status
    with pytest.raises(SourceError, match=words) as refusal:
        sources.load("fashion-mnist", download=True)
    assert "\n" not in str(refusal.value)
    assert f"/datasets/{REPO}" in str(refusal.value)


def test_offline_says_so_and_where_the_files_would_be(
    server: Hub, no_data: Path, monkeypatch: pytest.MonkeyPatch
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
    server: Hub, monkeypatch: pytest.MonkeyPatch
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
