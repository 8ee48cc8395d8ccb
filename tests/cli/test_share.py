"""import, merge and split as people call them: one line, and the right exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ddcodec import info, load, pack
from tests.helpers import published_sets as made
from tests.helpers.published_sets import MEANS
from tests.helpers.real_data import DATA, real_data

Run = Callable[..., Any]
DIGITS = ("--source", "digits", "--means", MEANS, "-q")


def test_a_set_is_imported_in_one_line(run: Run, tmp_path: Path) -> None:
    path = made.dc(tmp_path).path
    outcome = run("import", path, *DIGITS, "-o", "a.ddset", "--cite", "arXiv:2006.05929")
    assert outcome.code == 0, outcome.err
    assert outcome.err == ""
    assert outcome.out.count("\n") == 1
    assert "DC, DSA or DM, as images, 10 classes" in outcome.out
    assert "authors state 26.5 % (ConvNet)" in outcome.out
    shown = run("info", "a.ddset").out
    assert "arXiv:2006.05929" in shown
    assert "authors state" in shown
    again = run("import", path, *DIGITS, "-o", "b.ddset", "--json")
    report = json.loads(again.out)
    assert (report["codec"], report["space"], report["images"]) == (
        "images",
        f"mean-std={MEANS}",
        20,
    )


def test_the_recorded_command_makes_the_file_again(run: Run, tmp_path: Path) -> None:
    path = made.datm(tmp_path).path
    assert run("import", path, *DIGITS, "-o", "a.ddset", "--quality", "bits=5").code == 0
    command = load("a.ddset").manifest.provenance["command"].split()
    assert command[:2] == ["ddcodec", "import"]
    assert run(*command[1:], "-o", "b.ddset").code == 0
    assert info("a.ddset")["content_digest"] == info("b.ddset")["content_digest"]


@pytest.mark.parametrize(
    ("value", "code", "words"),
    [
        ([torch.zeros(3, 8, 8), torch.zeros(3)], 3, "images are 3x8x8"),
        ([torch.zeros(3, 1, 8, 8) / 0, torch.zeros(3)], 3, "not finite"),
        ([torch.randn(3, 1, 8, 8), torch.zeros(3)], 3, "no image of class 1"),
        ([torch.randn(3, 1, 8, 8), torch.zeros(4)], 3, "3 images but 4 labels"),
        ([torch.randn(3, 1, 9, 9), torch.zeros(3)], 3, "no image of class 1"),
        (np.random.Generator, 3, "nothing of it was run"),
    ],
)
def test_what_is_wrong_is_one_line(
    run: Run, tmp_path: Path, value: Any, code: int, words: str
) -> None:
    torch.save(value, tmp_path / "data.pt")
    outcome = run("import", "data.pt", *DIGITS, "-o", "a.ddset")
    assert (outcome.code, outcome.out) == (code, "")
    assert outcome.error_line.startswith("error: data.pt: ")
    assert words in outcome.err
    assert not (tmp_path / "a.ddset").exists()


def test_what_is_missing_is_named_by_its_flag(run: Run, tmp_path: Path) -> None:
    path = made.dc(tmp_path).path
    for words, code, said in (
        (("-o", "a.ddset"), 2, "--classes"),
        (("-o", "a.ddset", "--classes", "0,1,2,3,4,5,6,7,8,9"), 2, "--space pixels"),
        (("-o", "a.ddset", "--source", "digits", "--space", "mean-std"), 2, "--means"),
        (("-o", "a.ddset", "--space", "everywhere"), 2, "--space"),
        (("-o", "a.ddset", "--quality", "best"), 2, "--quality"),
        (("-o", "a.ddset", "--augment", "mixup"), 2, "mixup"),
        (("-o", "nowhere/a.ddset", *DIGITS), 5, "nowhere"),
    ):
        outcome = run("import", path, *words)
        assert outcome.code == code, outcome.err
        assert said in outcome.err
    assert run("import", "nothing.pt", *DIGITS, "-o", "a.ddset").code == 5


def test_files_are_cut_and_joined(run: Run, tmp_path: Path) -> None:
    path = made.folders(tmp_path).path
    assert run("import", path, "--source", "digits", "-q", "-o", "a.ddset").code == 0
    cut = run("split", "a.ddset", "--classes", "7", "3", "-o", "b.ddset")
    assert cut.code == 0, cut.err
    assert "4 images of 2 classes" in cut.out
    rest = [name for name in "0123456789" if name not in "37"]
    assert run("split", "a.ddset", "-o", "c.ddset", "--classes", *rest).code == 0
    joined = run("merge", "c.ddset", "b.ddset", "-o", "d.ddset", "--json")
    report = json.loads(joined.out)
    assert report["images"] == 20
    assert report["classes"] == [*rest, "3", "7"]
    assert run("merge", "c.ddset", "b.ddset", "-o", "d.ddset").code == 5
    assert run("merge", "c.ddset", "b.ddset", "-o", "d.ddset", "-f").code == 0
    wrong = run("split", "a.ddset", "--classes", "cat", "-o", "e.ddset")
    assert wrong.code == 2
    assert "'cat' is no class of it" in wrong.error_line
    assert run("merge", "a.ddset", "-o", "e.ddset").code == 2


@pytest.mark.slow
def test_a_real_set_reaches_what_its_authors_state(run: Run, tmp_path: Path) -> None:
    real_data("distilled")
    path = DATA / "distilled" / "res_DC_CIFAR10_ConvNet_1ipc.pt"
    cifar10 = real_data("cifar10")
    outcome = run("import", path, "--source", cifar10, "-o", "dc.ddset", "--measure", "--json")
    assert outcome.code == 0, outcome.err
    report = json.loads(outcome.out)
    assert report["space"] == "mean-std=cifar10"
    assert abs(report["accuracy_mean"] - report["stated"]["accuracy"]) < 0.01
    assert report["bytes"] < 30_000


@pytest.mark.parametrize(
    ("second", "out", "wrong"),
    [
        ("broken.ddset", "x.ddset", "broken.ddset"),
        ("nowhere.ddset", "x.ddset", "nowhere.ddset"),
        ("a.ddset", "a.ddset", "a.ddset"),
        ("a.ddset", "nodir/x.ddset", "nodir/x.ddset"),
    ],
)
def test_merge_names_the_file_that_is_wrong(run: Run, second: str, out: str, wrong: str) -> None:
    pack(np.zeros((2, 1, 4, 4), np.float32), [0, 1], ["a", "b"], "a.ddset")
    whole = Path("a.ddset").read_bytes()
    Path("broken.ddset").write_bytes(whole[:-1])
    outcome = run("merge", "a.ddset", second, "-o", out)
    assert outcome.code != 0
    assert outcome.err.startswith(f"error: {wrong}: "), outcome.err
    assert Path("a.ddset").read_bytes() == whole
