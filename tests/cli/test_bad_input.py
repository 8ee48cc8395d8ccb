"""Everything a user can get wrong: one line that names it, the right exit code, nothing written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
QUICK = ("--profile", "quick", "--steps", "1", "--device", "cpu")


def refused(outcome: Any, code: int, *words: str) -> None:
    assert outcome.code == code, outcome.err
    assert outcome.out == ""
    assert outcome.error_line.startswith("error: ")
    for word in words:
        assert word in outcome.err


def test_no_such_source(run: Run, tmp_path: Path) -> None:
    refused(run("encode", "no-such-thing", "--ipc", "1", *QUICK), 5, "no-such-thing")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ipc", ["0", "-1", "-0.5", "nan", "inf"])
def test_a_budget_that_is_no_positive_number(run: Run, tmp_path: Path, ipc: str) -> None:
    refused(run("encode", "digits", "--ipc", ipc, *QUICK), 2, "ipc")
    assert list(tmp_path.iterdir()) == []


def test_a_budget_too_small_for_a_patch_names_the_smallest(run: Run, tmp_path: Path) -> None:
    outcome = run("encode", "digits", "--ipc", "0.01", *QUICK)
    refused(outcome, 2)
    smallest = re.search(r"--ipc (0\.\d+)", outcome.err)
    assert smallest, outcome.err
    # The budget it names is one that works.
    assert run("encode", "digits", "--ipc", smallest[1], *QUICK).code == 0


def test_an_unknown_codec(run: Run, tmp_path: Path) -> None:
    refused(run("encode", "digits", "--codec", "jpeg", "--ipc", "1"), 4, "jpeg", "podd")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        ("--steps", "0.5"),
        ("--steps", "-3"),
        ("--steps", "3", "--time", "9s", "--codec", "ppodd"),
        ("--seed", "-1"),
        ("--quality", "best"),
        ("--quality", "bits=1"),
        ("--quality", "bits=9"),
        ("--device", "abacus"),
        ("--patches", "500x500"),
    ],
)
def test_an_option_out_of_range(run: Run, tmp_path: Path, words: tuple[str, ...]) -> None:
    refused(run("encode", "digits", "--ipc", "1", "--profile", "quick", *words), 2)
    assert list(tmp_path.iterdir()) == []


def test_an_order_file_that_is_missing_or_wrong(run: Run, tmp_path: Path) -> None:
    refused(run("encode", "digits", "--ipc", "1", *QUICK, "--order", "absent.txt"), 2, "absent.txt")
    (tmp_path / "order.txt").write_text("zero\none\n")
    outcome = run("encode", "digits", "--ipc", "1", *QUICK, "--order", "order.txt")
    refused(outcome, 2, "order.txt")


@pytest.mark.parametrize("command", ["encode", "preview", "decode"])
def test_the_folder_of_the_output_is_missing(
    run: Run, tmp_path: Path, digits_file: Path, command: str
) -> None:
    words = {
        "encode": ("encode", "digits", "--ipc", "1", *QUICK, "-o", "absent/x.ddset"),
        "preview": ("preview", digits_file, "-o", "absent/x.png"),
        "decode": ("decode", digits_file, "--to", "npz", "-o", "absent/x"),
    }[command]
    refused(run(*words), 5, "absent", "does not exist")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["encode", "preview", "decode"])
def test_the_folder_of_the_output_is_a_file(
    run: Run, tmp_path: Path, digits_file: Path, command: str
) -> None:
    (tmp_path / "file").write_text("mine")
    words = {
        "encode": ("encode", "digits", "--ipc", "1", *QUICK, "-o", "file/x.ddset"),
        "preview": ("preview", digits_file, "-o", "file/x.png"),
        "decode": ("decode", digits_file, "--to", "npz", "-o", "file/x"),
    }[command]
    refused(run(*words), 5, "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_the_folder_of_the_output_is_read_only(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    if os.geteuid() == 0:  # root may write anywhere but there
        folder = Path("/proc")
    outcome = run("encode", "digits", "--ipc", "1", *QUICK, "-o", folder / "x.ddset")
    refused(outcome, 5, str(folder), "cannot be written")


@pytest.mark.parametrize("command", ["encode", "preview", "decode"])
def test_an_existing_output_stays_unless_forced(
    run: Run, tmp_path: Path, digits_file: Path, command: str
) -> None:
    mine = tmp_path / "mine.png"
    if command == "decode":
        mine.mkdir()
        mine = mine / "keep"
    mine.write_text("mine")
    words = {
        "encode": ("encode", "digits", "--ipc", "1", *QUICK, "-o", "mine.png"),
        "preview": ("preview", digits_file, "-o", "mine.png"),
        "decode": ("decode", digits_file, "--to", "npz", "-o", "mine.png"),
    }[command]
    refused(run(*words), 5, "mine.png", "-f")
    assert mine.read_text() == "mine"
    assert run(*words, "-f").code == 0
    assert not (tmp_path / "mine.png" / "keep").exists()


READERS = [
    ("info",),
    ("info", "--json"),
    ("train", "--nets", "1", "--steps", "1"),
    ("preview", "-o", "out.png"),
    ("preview", "-o", "out.html", "--html"),
    ("decode", "--to", "npz", "-o", "out"),
]


@pytest.mark.parametrize("reader", READERS, ids=" ".join)
def test_no_such_file(run: Run, reader: tuple[str, ...]) -> None:
    refused(run(reader[0], "absent.ddset", *reader[1:]), 5, "absent.ddset")


@pytest.mark.parametrize("reader", READERS, ids=" ".join)
@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n" + bytes(100), b"hello\n" * 1000])
def test_a_file_that_is_no_ddset(
    run: Run, tmp_path: Path, reader: tuple[str, ...], content: bytes
) -> None:
    (tmp_path / "x.ddset").write_bytes(content)
    refused(run(reader[0], "x.ddset", *reader[1:]), 3, "x.ddset")
    assert [path.name for path in tmp_path.iterdir()] == ["x.ddset"]


@pytest.mark.parametrize("reader", READERS, ids=" ".join)
@pytest.mark.parametrize("share", [0.001, 0.3, 0.9, 0.999])
def test_a_truncated_file(
    run: Run, tmp_path: Path, digits_file: Path, reader: tuple[str, ...], share: float
) -> None:
    whole = digits_file.read_bytes()
    (tmp_path / "cut.ddset").write_bytes(whole[: int(share * len(whole))])
    refused(run(reader[0], "cut.ddset", *reader[1:]), 3, "cut.ddset")


def test_a_source_without_a_test_split_cannot_be_trained_against(
    run: Run, make_source: Callable[..., Path]
) -> None:
    make_source("shades.npz", test=False)
    assert run("encode", "shades.npz", "--ipc", "1", *QUICK).code == 0
    outcome = run("train", "shades.ddset", "--test", "shades.npz", "--nets", "1", "--steps", "1")
    refused(outcome, 5, "shades.npz", "test")


def test_a_file_from_images_that_are_gone_needs_to_be_told_what_to_test_on(
    run: Run, make_source: Callable[..., Path]
) -> None:
    source = make_source("shades.npz")
    assert run("encode", "shades.npz", "--ipc", "1", *QUICK).code == 0
    found = run("train", "shades.ddset", "--nets", "1", "--steps", "1")
    assert (found.code, f"{source}: read 18 images" in found.err) == (0, True)
    source.unlink()
    refused(run("train", "shades.ddset", "--nets", "1"), 2, "--test")


@pytest.mark.parametrize("other", [{"side": 9, "classes": 10}, {"classes": 4}])
def test_test_data_of_another_kind_is_refused(
    run: Run, make_source: Callable[..., Path], digits_file: Path, other: dict[str, int]
) -> None:
    make_source("other.npz", **other)
    refused(run("train", digits_file, "--test", "other.npz", "--nets", "1"), 2, "other.npz")


@pytest.mark.parametrize("budget", ["1e9", "nan", "inf", "-1", "0"])
def test_a_budget_beyond_all_sense_is_one_line(run: Run, tmp_path: Path, budget: str) -> None:
    outcome = run("encode", "digits", f"--ipc={budget}", *QUICK, "-o", "x.ddset")
    refused(outcome, 2, "--ipc")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["encode", "preview", "decode", "observer", "prior", "sweep"])
def test_an_empty_output_is_refused(
    run: Run, tmp_path: Path, digits_file: Path, command: str
) -> None:
    words = {
        "encode": ("encode", "digits", "--ipc", "1"),
        "preview": ("preview", digits_file),
        "decode": ("decode", digits_file, "--to", "npz"),
        "observer": ("observer", "train", "digits"),
        "prior": ("prior", "train", "digits"),
        "sweep": ("sweep", "digits", "--ipc", "1"),
    }[command]
    refused(run(*words, "-o", ""), 2, "-o", "empty")
    if command in ("encode", "preview", "observer"):
        refused(run(*words, "-o", "x/"), 2, "x/", "name of a folder")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "setuid") or os.geteuid() != 0, reason="only root can")
def test_nobody_without_a_home_gets_one_line(tmp_path: Path) -> None:
    environment = {n: v for n, v in os.environ.items() if n not in ("HOME", "XDG_CACHE_HOME")}
    code = "import os, pwd; from ddcodec import sources; os.setuid(54321); sources.load('cifar10')"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ddcodec.errors.SourceError: cifar10: there is no home folder")


def test_an_empty_rank_counts_as_none(
    run: Run, digits_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        monkeypatch.setenv(name, "")
    outcome = run("encode", "digits", "--ipc", "1", *QUICK, "-o", "x.ddset")
    assert (outcome.code, "640 pixels" in outcome.err) == (0, True)
    monkeypatch.setenv("RANK", "one")
    refused(run("encode", "digits", "--ipc", "1", *QUICK, "-o", "y.ddset"), 2, "RANK", "one")
