"""Commands with addresses on the hub, and those that make cards, push and show files."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ddcodec_cli.files import kept_beside, reading

import ddcodec
from tests.helpers.local_hub import TOKEN, LocalHub, environment

REPO = "some-one/zoo"
ADDRESS = f"hf://datasets/{REPO}/zoo.ddset"
Run = Callable[..., Any]


@pytest.fixture
def file(tmp_path: Path, small: bytes) -> Path:
    path = tmp_path / "zoo.ddset"
    path.write_bytes(small)
    return path


def test_every_reading_command_takes_an_address(
    run: Run, hub: LocalHub, digits_file: Path, tmp_path: Path
) -> None:
    hub.put(REPO, {"zoo.ddset": digits_file.read_bytes()})
    for words in (
        ["info", ADDRESS],
        ["verify", ADDRESS],
        ["diff", ADDRESS, digits_file],
        ["preview", f"{ADDRESS}@main"],
        ["decode", ADDRESS, "-o", "npz", "--to", "npz"],
        ["train", ADDRESS, "--nets", "1", "--steps", "2", "--device", "cpu"],
        ["score", ADDRESS, "--nets", "1", "--steps", "2", "--full-steps", "1", "--device", "cpu"],
        ["compare", ADDRESS, digits_file, "--nets", "1", "--steps", "2", "--device", "cpu"],
        ["card", ADDRESS],
    ):
        assert run(*words).code == 0, words
    assert len(hub.gets()) == 1
    assert (tmp_path / "zoo.png").is_file()
    assert (tmp_path / "npz" / "data.npz").is_file()
    assert (tmp_path / "zoo-card" / "README.md").is_file()


def test_what_is_printed_names_the_address_and_not_the_cache(
    run: Run, hub: LocalHub, small: bytes
) -> None:
    hub.put(REPO, {"zoo.ddset": small})
    assert json.loads(run("info", ADDRESS, "--json").out)["file"] == ADDRESS
    assert ADDRESS in run("info", ADDRESS, ADDRESS).out
    assert run("verify", ADDRESS).out == f"{ADDRESS}: valid\n"
    hub.put(REPO, {"zoo.ddset": small[:-1]})
    for words in (["info"], ["preview"], ["train"], ["diff", ADDRESS]):
        outcome = run(*words, ADDRESS)
        assert outcome.code == 3
        assert outcome.error_line.startswith(f"error: {ADDRESS}: ")
        assert "snapshots" not in outcome.err
    assert run("verify", ADDRESS).code == 3


def test_an_error_about_a_copy_names_its_address_and_work_is_kept_here(
    hub: LocalHub, small: bytes
) -> None:
    hub.put(REPO, {"zoo.ddset": small})
    with reading(ADDRESS) as place:
        assert kept_beside(ADDRESS, place) == Path("zoo.ddset")
        assert kept_beside(str(place), place) == place
    with pytest.raises(ddcodec.InvalidFile) as raised, reading(ADDRESS):
        raise ddcodec.InvalidFile(f"{place}: is odd")
    assert str(raised.value) == f"{ADDRESS}: is odd"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["info", "hf://zoo.ddset"], 2, "which is datasets; write hf://datasets/"),
        (["info", f"{ADDRESS}@v9"], 5, "there is no such revision"),
        (["verify", f"{ADDRESS}#content={'0' * 64}"], 5, "it is another one than the address asks"),
        (["train", ADDRESS, "--record"], 2, "--record writes into the file"),
        (["push", "zoo.ddset", "zoo"], 2, "write OWNER/NAME"),
        (["push", "zoo.ddset", REPO], 5, "-f"),
        (["push", "zoo.ddset", "some-one/new"], 5, "make it with --create"),
        (["push", "none.ddset", REPO], 5, "none.ddset: no such file"),
        (["card", "zoo.ddset", "--repo", "zoo"], 2, "write OWNER/NAME"),
        (["card", "none.ddset"], 5, "none.ddset: no such file"),
        (["card", "bad.ddset"], 3, "bad.ddset"),
        (["gallery", "none", "-o", "site"], 5, "none: is not a folder"),
        (["gallery", ".", "-o", "site"], 3, "bad.ddset"),
    ],
)
def test_what_cannot_work_is_one_line_and_leaves_nothing(
    run: Run, hub: LocalHub, file: Path, words: list[str], code: int, said: str
) -> None:
    hub.put(REPO, {"zoo.ddset": file.read_bytes()})
    (file.parent / "bad.ddset").write_bytes(b"x" * 200)
    outcome = run(*words)
    assert outcome.code == code
    assert said in outcome.error_line
    assert sorted(path.name for path in file.parent.iterdir() if path.name != "hf-home") == [
        "bad.ddset",
        "zoo.ddset",
    ]
    assert len(hub.repositories) == 1
    assert len(hub.repositories[REPO].commits) == 2


def test_a_file_is_pushed_with_its_page(
    run: Run, hub: LocalHub, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    outcome = run("push", file, REPO, "--create", "--private")
    assert outcome.code == 0, outcome.err
    files = hub.repositories[REPO].commits[-1][1]
    assert set(files) == {
        ".gitattributes",
        "README.md",
        "croissant.json",
        "data/train-00000-of-00001.parquet",
        "preview.png",
        "zoo.ddset",
    }
    digest = ddcodec.info(file)["content_digest"]
    assert outcome.out == f'ds = ddcodec.load("{ADDRESS}#content={digest}")\n'
    assert outcome.out.strip() in files["README.md"].decode()
    assert hub.repositories[REPO].commits[-1][0] in outcome.err
    # A dry run writes the same files and asks nobody.
    hub.asked.clear()
    again = run("push", file, REPO, "--dry-run", "page")
    assert again.code == 0
    assert again.out == outcome.out
    folder = file.parent / "page"
    for name in set(files) - {".gitattributes"}:
        assert (folder / name).read_bytes() == files[name], name
    assert hub.asked == []


def test_a_gallery_is_written_whole_or_not_at_all(run: Run, file: Path) -> None:
    outcome = run("gallery", ".", "-o", "site", "--title", "Zoo", "--files")
    assert outcome.code == 0
    assert outcome.err == "site: one file, open site/index.html\n"
    page = (file.parent / "site" / "index.html").read_text(encoding="utf-8")
    assert "<title>Zoo</title>" in page
    assert run("gallery", ".", "-o", "site").code == 5  # it is there
    assert (file.parent / "site" / "index.html").read_text(encoding="utf-8") == page


@pytest.fixture
def apart(tmp_path: Path, hub: LocalHub) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run Python in a process of its own, with a cache called ``home`` that begins empty."""

    def call(home: str, *words: str, token: bool = False) -> subprocess.CompletedProcess[str]:
        settings = {**os.environ, **environment(hub, tmp_path / home)}
        settings |= {"HF_TOKEN": TOKEN} if token else {}
        return subprocess.run(
            [sys.executable, *words], env=settings, cwd=tmp_path, text=True, check=False,
            capture_output=True, timeout=300,
        )  # fmt: skip

    return call


def test_pushed_loaded_elsewhere_and_refused_once_it_was_changed(
    apart: Callable[..., subprocess.CompletedProcess[str]],
    hub: LocalHub,
    file: Path,
    small_images: bytes,
) -> None:
    pushed = apart("theirs", "-m", "ddcodec", "push", file.name, REPO, "--create", "-q", token=True)
    assert pushed.returncode == 0, pushed.stderr
    assert len(pushed.stderr.splitlines()) == 1, pushed.stderr
    (line,) = pushed.stdout.splitlines()
    before = hashlib.sha256(file.read_bytes()).hexdigest()
    after = hashlib.sha256(small_images).hexdigest()
    pinned = f"{ADDRESS}#sha256={before}"
    code = f"import ddcodec\n{line}\nprint(len(ds), ddcodec.verify({pinned!r}), *ds.classes)"
    loaded = apart("clean", "-c", code)
    assert loaded.stdout == "8 [] ant bee zebra\n", loaded.stderr
    assert loaded.stderr == ""

    hub.put(REPO, {"zoo.ddset": small_images})
    refused = apart("clean", "-m", "ddcodec", "info", pinned)
    assert refused.returncode == 5
    assert refused.stdout == ""
    (said,) = refused.stderr.splitlines()
    assert said.startswith(f"error: {pinned}: the file there has sha256 {after}")
    by_content = re.search(r'"(hf://[^"]*)"', line)
    assert by_content is not None
    both = apart("clean", "-m", "ddcodec", "verify", by_content[1], ADDRESS)
    assert both.returncode == 5
    assert both.stdout == f"{ADDRESS}: valid\n"
