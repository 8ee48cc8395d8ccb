"""A file goes to the hub: what is sent, what is replaced, what is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import ddcodec
from ddcodec.errors import OutputError, UsageError
from ddcodec.share import push
from tests.helpers.hub_cards import faults
from tests.helpers.local_hub import TOKEN, LocalHub

REPO = "some-one/zoo"


@pytest.fixture
def folder(tmp_path: Path, small: bytes) -> Path:
    """What is pushed: a small file, a card and something in a folder."""
    made = tmp_path / "page"
    (made / "data").mkdir(parents=True)
    (made / "zoo.ddset").write_bytes(small)
    (made / "data" / "x.parquet").write_bytes(b"x" * 2000)
    head = "license: mit\nsize_categories:\n- n<1K\ntask_categories: []\ntags: []\n"
    (made / "README.md").write_text(f"---\n{head}source_datasets: []\n---\n# Zoo\n")
    return made


@pytest.fixture
def sent(hub: LocalHub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Push the folder with a good token and give the commit."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)

    def send(create: bool = False, overwrite: bool = False, private: bool = False) -> str:
        path = folder / "zoo.ddset"
        place = push.find_place(path, REPO, create=create, overwrite=overwrite)
        return push.push_files(push.files_of(folder), place, "zoo", private=private)

    return send


def refused(sent: Callable[..., str], **settings: bool) -> str:
    with pytest.raises(OutputError) as refusal:
        sent(**settings)
    assert "\n" not in str(refusal.value)
    assert str(refusal.value).startswith(REPO)
    return str(refusal.value)


def test_all_files_come_in_one_commit(
    hub: LocalHub, sent: Callable[..., str], folder: Path
) -> None:
    hub.create(REPO)
    commit = sent()
    repository = hub.repositories[REPO]
    assert len(repository.commits) == 2
    name, files = repository.commits[-1]
    assert name == commit
    for path in ("zoo.ddset", "README.md", "data/x.parquet"):
        assert files[path] == (folder / path).read_bytes()
    # Large files by their digest, the card as it is.
    assert len([path for method, path, _ in hub.asked if method == "PUT"]) == 2
    assert ddcodec.verify(f"hf://datasets/{REPO}/zoo.ddset@{commit}") == []


@pytest.mark.parametrize("private", [False, True])
def test_a_repository_is_made_only_where_that_is_asked_for(
    hub: LocalHub, sent: Callable[..., str], private: bool
) -> None:
    assert "there is no such data set repository" in refused(sent)
    assert REPO not in hub.repositories
    sent(create=True, private=private)
    assert hub.repositories[REPO].private == private
    assert "zoo.ddset" in hub.repositories[REPO].commits[-1][1]


def test_what_is_there_is_replaced_only_where_that_is_asked_for(
    hub: LocalHub, sent: Callable[..., str], folder: Path
) -> None:
    hub.put(REPO, {"README.md": b"by hand", "other.ddset": b"stays"})
    assert "has README.md already" in refused(sent)
    sent(overwrite=True)
    files = hub.repositories[REPO].commits[-1][1]
    assert files["other.ddset"] == b"stays"
    assert files["README.md"] == (folder / "README.md").read_bytes()
    assert "has README.md and zoo.ddset already" in refused(sent)


def test_the_same_again_is_no_new_commit(hub: LocalHub, sent: Callable[..., str]) -> None:
    first = sent(create=True)
    assert sent(overwrite=True) == first
    assert len(hub.repositories[REPO].commits) == 2


def test_a_change_by_somebody_else_meanwhile_is_not_written_over(
    hub: LocalHub, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.create(REPO)
    place = push.find_place(folder / "zoo.ddset", REPO, create=False, overwrite=False)
    hub.put(REPO, {"README.md": b"theirs"})
    with pytest.raises(OutputError, match="somebody else has changed the repository"):
        push.push_files(push.files_of(folder), place, "zoo")
    assert hub.repositories[REPO].commits[-1][1]["README.md"] == b"theirs"


@pytest.mark.parametrize("token", [None, "hf_of_somebody"])
def test_without_the_right_token_nothing_is_written(
    hub: LocalHub,
    sent: Callable[..., str],
    token: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hub.create(REPO)
    if token is None:
        monkeypatch.delenv("HF_TOKEN")
    else:
        monkeypatch.setenv("HF_TOKEN", token)
    assert "log in with: hf auth login" in refused(sent)
    assert len(hub.repositories[REPO].commits) == 1
    del hub.repositories[REPO]
    assert "log in with: hf auth login" in refused(sent, create=True)
    assert REPO not in hub.repositories


@pytest.mark.parametrize(
    ("place", "status", "words"),
    [
        ("/api/datasets", 429, "too many requests"),
        ("/api/datasets", 500, "the hub is in trouble, status 500"),
        ("/preupload/", 403, "the token has no right to do this"),
        ("/lfs/objects", 400, "Bad request"),
        ("/lfs/", 404, "it is not there"),
        ("/commit/", 429, "too many requests"),
        ("/commit/", 401, "log in with: hf auth login"),
    ],
)
def test_every_failure_is_one_line_and_changes_nothing(
    hub: LocalHub, sent: Callable[..., str], place: str, status: int, words: str
) -> None:
    hub.create(REPO)
    hub.status, hub.fail_at = status, place
    assert words in refused(sent)
    assert len(hub.repositories[REPO].commits) == 1


def test_a_card_that_the_hub_refuses_is_not_sent(
    hub: LocalHub, sent: Callable[..., str], folder: Path
) -> None:
    hub.create(REPO)
    card = folder / "README.md"
    card.write_text(card.read_text().replace("license: mit", "license: my-own"))
    assert faults(card.read_text())
    assert "Invalid metadata in README.md" in refused(sent)
    assert len(hub.repositories[REPO].commits) == 1


def test_no_network_is_one_line(
    hub: LocalHub, sent: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE is set" in refused(sent)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    assert re.search("cannot be written to at http://127.0.0.1:1: .*refused", refused(sent))


@pytest.mark.parametrize("name", ["a zoo.ddset", "zoo#1.ddset", "zoo.bin", "zo@o.ddset"])
def test_a_name_that_no_address_could_have_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="rename it"):
        push.check_names(Path(name), REPO)
    with pytest.raises(UsageError, match="OWNER/NAME"):
        push.check_names(Path("zoo.ddset"), "zoo")
    push.check_names(Path("zoo.ddset"), REPO)
