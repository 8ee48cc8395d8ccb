"""Files by their address, from a server that answers as the hub does."""

from __future__ import annotations

import hashlib
import importlib.util
import time
from pathlib import Path

import pytest

import ddcodec
from ddcodec.errors import InvalidFile, LimitExceeded, MissingExtra, SourceError
from ddcodec.hub import local
from ddcodec.limits import Limits
from tests.helpers.hostile import Forgery
from tests.helpers.local_hub import TOKEN, LocalHub

REPO, NAME = "some-one/zoo", "zoo.ddset"
ADDRESS = f"hf://datasets/{REPO}/{NAME}"


def content_of(data: bytes, tmp_path: Path) -> str:
    path = tmp_path / "content.ddset"
    path.write_bytes(data)
    return str(ddcodec.info(path)["content_digest"])


def refused(address: str, limits: Limits = Limits()) -> str:
    """Return the one line that a source that cannot be had is refused with."""
    with pytest.raises(SourceError) as refusal:
        local(address, limits)
    assert "\n" not in str(refusal.value)
    assert str(refusal.value).startswith(address)
    return str(refusal.value)


def test_a_file_is_fetched_once_and_read_from_the_cache(hub: LocalHub, small: bytes) -> None:
    hub.put(REPO, {NAME: small})
    assert ddcodec.verify(ADDRESS) == []
    assert len(hub.gets()) == 1
    facts = ddcodec.info(Path(ADDRESS))
    assert facts["bytes"]["total"] == len(small)
    assert len(ddcodec.load(ADDRESS)) == 8
    assert len(hub.gets()) == 1
    assert Path(local(ADDRESS)).read_bytes() == small


def test_small_files_come_as_they_are_in_the_repository(hub: LocalHub) -> None:
    hub.put(REPO, {NAME: b"no file of ours"})
    assert Path(local(ADDRESS)).read_bytes() == b"no file of ours"
    with pytest.raises(InvalidFile):
        ddcodec.info(ADDRESS)
    assert [finding.where for finding in ddcodec.verify(ADDRESS)] == [ADDRESS]


def test_a_commit_is_asked_for_once_and_the_newest_every_time(
    hub: LocalHub, small: bytes, small_images: bytes
) -> None:
    first = hub.put(REPO, {NAME: small})
    hub.put(REPO, {NAME: small_images})
    assert Path(local(ADDRESS)).read_bytes() == small_images
    assert Path(local(f"{ADDRESS}@{first}")).read_bytes() == small
    hub.asked.clear()
    assert Path(local(f"{ADDRESS}@{first}")).read_bytes() == small
    assert hub.asked == []
    hub.put(REPO, {NAME: small})
    assert Path(local(ADDRESS)).read_bytes() == small


def test_a_digest_of_the_bytes_pins_the_file(
    hub: LocalHub, small: bytes, small_images: bytes
) -> None:
    hub.put(REPO, {NAME: small})
    digest = hashlib.sha256(small).hexdigest()
    assert Path(local(f"{ADDRESS}#sha256={digest}")).read_bytes() == small
    hub.put(REPO, {NAME: small_images})
    said = refused(f"{ADDRESS}#sha256={digest}")
    assert digest in said
    assert hashlib.sha256(small_images).hexdigest() in said.removeprefix(ADDRESS)


def test_the_content_digest_pins_what_the_file_decodes_to(
    hub: LocalHub, small: bytes, small_images: bytes, tmp_path: Path
) -> None:
    digest, other = content_of(small, tmp_path), content_of(small_images, tmp_path)
    hub.put(REPO, {NAME: small})
    assert len(ddcodec.load(f"{ADDRESS}#content={digest}")) == 8
    hub.put(REPO, {NAME: small_images})
    said = refused(f"{ADDRESS}#content={digest}")
    assert digest in said
    assert other in said


def test_a_content_digest_that_a_file_only_claims_counts_for_nothing(
    hub: LocalHub, small: bytes, tmp_path: Path
) -> None:
    digest = content_of(small, tmp_path)
    forged = Forgery.of(small)
    forged.manifest["classes"][0] = "wasp"
    hub.put(REPO, {NAME: forged.build()})
    assert ddcodec.info(ADDRESS)["content_digest"] == digest
    pinned = f"{ADDRESS}#content={digest}"
    with pytest.raises(InvalidFile, match=f"^{pinned}: .*the content digest does not match"):
        ddcodec.info(pinned)
    (finding,) = ddcodec.verify(pinned)
    assert finding.code == "DDS-E032"


def test_too_large_a_file_is_refused_before_it_is_fetched(hub: LocalHub, small: bytes) -> None:
    hub.put(REPO, {NAME: small})
    hub.claimed = 9 << 30
    with pytest.raises(LimitExceeded, match=f"{9 << 30} bytes, the limit is"):
        ddcodec.load(ADDRESS)
    (finding,) = ddcodec.verify(ADDRESS)
    assert finding.code == "DDS-E001"
    assert hub.gets() == []
    hub.claimed = None
    with pytest.raises(LimitExceeded, match="the limit is 100"):
        local(ADDRESS, Limits(file_bytes=100))


def test_more_than_was_stated_is_not_taken(hub: LocalHub, small: bytes) -> None:
    hub.put(REPO, {NAME: small})
    hub.claimed = 200
    assert "more than the stated 200 bytes" in refused(ADDRESS)


def test_less_than_was_stated_is_a_broken_transfer(
    hub: LocalHub, small: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.put(REPO, {NAME: small})
    hub.claimed = len(small) + 1
    monkeypatch.setenv("HF_ENDPOINT", f"{hub.url}/")
    assert f"from {hub.url}: the transfer broke off" in refused(ADDRESS)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (ADDRESS.replace("zoo/", "circus/"), "no such repository, or it is private: log in with"),
        (ADDRESS.replace("zoo.", "ant."), "there is no such file"),
        (f"{ADDRESS}@v2", "there is no such revision"),
    ],
)
def test_what_is_not_there_is_named(
    hub: LocalHub, small: bytes, address: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.put(REPO, {NAME: small})
    assert words in refused(address)
    monkeypatch.setenv("HF_TOKEN", TOKEN)  # whom the hub answers 404 and not 401
    assert words in refused(address)


def test_a_private_repository_is_for_its_token(
    hub: LocalHub, small: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.create(REPO, private=True)
    hub.put(REPO, {NAME: small})
    assert "hf auth login" in refused(ADDRESS)
    monkeypatch.setenv("HF_TOKEN", "hf_of_somebody")
    assert "hf auth login" in refused(ADDRESS)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert ddcodec.verify(ADDRESS) == []


@pytest.mark.parametrize(
    ("status", "headers", "words"),
    [
        (401, {}, "log in with: hf auth login"),
        (403, {"X_Error_Code": "GatedRepo"}, "its terms must be accepted there first"),
        (404, {}, "it is not there"),
        (429, {"Retry_After": "600"}, "too many requests"),
        (503, {}, "the hub is in trouble, status 503"),
    ],
)
def test_every_refusal_of_the_hub_is_one_line(
    hub: LocalHub, small: bytes, status: int, headers: dict[str, str], words: str
) -> None:
    hub.put(REPO, {NAME: small})
    hub.status, hub.headers = status, headers
    assert words in refused(ADDRESS)


@pytest.mark.parametrize("status", [429, 500])
def test_a_hub_in_trouble_costs_nothing_that_has_come(
    hub: LocalHub, small: bytes, status: int
) -> None:
    hub.put(REPO, {NAME: small})
    local(ADDRESS)
    hub.status = status
    assert ddcodec.verify(ADDRESS) == []
    hub.status = 404
    assert "it is not there" in refused(ADDRESS)  # an answer, and the newest


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client waits a second before it takes a broken transfer up again."""
    monkeypatch.setattr(time, "sleep", lambda _: None)


@pytest.mark.usefixtures("no_pauses")
def test_a_broken_transfer_is_taken_up_where_it_broke(
    hub: LocalHub, small: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 100)
    hub.put(REPO, {NAME: small})
    hub.cut_at = 500
    assert ddcodec.verify(ADDRESS) == []
    assert [part for _, part in hub.gets()] == [None, "bytes=500-"]


@pytest.mark.usefixtures("no_pauses")
def test_a_transfer_that_breaks_every_time_leaves_no_file(hub: LocalHub, small: bytes) -> None:
    hub.put(REPO, {NAME: small})
    hub.cut_at, hub.cuts = 0, 100
    assert "no copy is in the cache" in refused(ADDRESS)
    hub.cuts = 0
    assert ddcodec.verify(ADDRESS) == []


def test_without_a_network_the_copy_serves(
    hub: LocalHub, small: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.put(REPO, {NAME: small})
    local(ADDRESS)
    hub.asked.clear()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert ddcodec.verify(ADDRESS) == []
    said = refused(ADDRESS.replace("zoo.", "ant."))
    assert said.endswith("HF_HUB_OFFLINE is set; no copy is in the cache")
    assert hub.asked == []
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    assert ddcodec.verify(ADDRESS) == []
    assert "cannot be fetched from http://127.0.0.1:1" in refused(ADDRESS.replace("zoo.", "ant."))


def test_without_the_client_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=r"pip install 'ddcodec\[data\]'"):
        ddcodec.info(ADDRESS)
