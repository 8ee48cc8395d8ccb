"""``compare``: files of several methods and origins in one table and one picture."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import ddcodec
from ddcodec import sources

Run = Callable[..., Any]
SHORT = ("--nets", "2", "--steps", "2", "--device", "cpu")


@pytest.fixture
def files(tmp_path: Path, digits_file: Path) -> tuple[Path, Path]:
    """A poster, and images that someone else made."""
    poster, own = tmp_path / "poster.ddset", tmp_path / "own.ddset"
    poster.write_bytes(digits_file.read_bytes())
    digits = sources.load("digits")
    labels = np.eye(10, dtype=np.float32)[digits.train.labels[:30]]
    images = digits.train.images[:30].transpose(0, 3, 1, 2)
    ddcodec.pack(images, labels, digits.classes, own)
    return poster, own


def test_each_row_is_what_train_says_of_the_file(run: Run, files: tuple[Path, Path]) -> None:
    outcome = run("compare", *files, "--test", "digits", *SHORT, "--json")
    assert outcome.code == 0, outcome.err
    report = json.loads(outcome.out)
    assert (report["test"], report["test_images"], report["nets"]) == ("digits", 397, 2)
    assert [row["codec"] for row in report["files"]] == ["podd", "images"]
    for path, row in zip(files, report["files"], strict=True):
        facts = ddcodec.info(path)
        assert row["file"] == str(path)
        assert row["bytes"] == path.stat().st_size
        assert row["bits_per_class"] == facts["bits_per_class"]
        network = facts["recipe"]["network"]
        assert row["network"] == (f"convnet-{network['depth']} x {network['width']}, instance norm")
        alone = json.loads(run("train", path, "--test", "digits", *SHORT, "--json").out)
        assert row["accuracy_mean"] == alone["accuracy_mean"]
        assert row["accuracy_std"] == alone["accuracy_std"]


def test_one_table_and_one_picture(run: Run, tmp_path: Path, files: tuple[Path, Path]) -> None:
    outcome = run("compare", *files, "--test", "digits", *SHORT, "-o", "both.png")
    assert outcome.code == 0, outcome.err
    head, _, titles, _, *rows = outcome.out.splitlines()
    assert head == "397 test images of digits: mean ± std of 2 networks a file"
    assert titles.split() == ["file", "codec", "network", "accuracy", "bytes", "bits/class"]
    assert [row.split()[1] for row in rows] == ["podd", "images"]
    with Image.open(tmp_path / "both.png") as picture:
        assert (picture.format, picture.size) == ("PNG", (1200, 810))
    again = run("compare", *files, "--test", "digits", *SHORT, "-o", "both.png")
    assert (again.code, again.out) == (5, "")
    assert "both.png" in again.error_line
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "both.png", "own.ddset", "poster.ddset",
    ]  # fmt: skip


def test_files_of_other_data_are_refused_before_any_training(
    run: Run, files: tuple[Path, Path], make_source: Callable[..., Path]
) -> None:
    source = make_source()
    assert run("encode", source, "--ipc", "1", "--profile", "quick", "--steps", "1",
               "--device", "cpu", "-o", "shades.ddset").code == 0  # fmt: skip
    outcome = run("compare", files[0], "shades.ddset", *SHORT)
    assert (outcome.code, outcome.out) == (2, "")
    assert "others of shades" in outcome.err
    assert "network 1" not in outcome.err
    outcome = run("compare", files[0], "shades.ddset", "--test", "digits", *SHORT)
    assert (outcome.code, outcome.out) == (2, "")
    assert "shades.ddset" in outcome.err.splitlines()[-1]


def test_the_last_file_is_checked_before_the_first_is_measured(
    run: Run, tmp_path: Path, files: tuple[Path, Path]
) -> None:
    (tmp_path / "broken.ddset").write_bytes(files[0].read_bytes()[:-1])
    outcome = run("compare", *files, "broken.ddset", "--test", "digits", *SHORT)
    assert (outcome.code, outcome.out) == (3, "")
    assert "broken.ddset" in outcome.err.splitlines()[-1]
    assert "network 1" not in outcome.err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("-o", "both.jpg"), 2, "ends in .png"),
        (("-o", "absent/both.png"), 5, "absent"),
        (("--nets", "0"), 2, "--nets"),
        (("--steps", "none"), 2, "--steps"),
    ],
)
def test_an_option_that_cannot_be_is_one_line(
    run: Run, files: tuple[Path, Path], words: tuple[str, ...], code: int, said: str
) -> None:
    outcome = run("compare", *files, *words)
    assert (outcome.code, outcome.out) == (code, "")
    assert said in outcome.error_line


def test_without_matplotlib_the_extra_is_named_before_the_work(
    run: Run, files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    outcome = run("compare", *files, "-o", "both.png")
    assert (outcome.code, outcome.out) == (4, "")
    assert "ddcodec[plot]" in outcome.error_line


def test_a_run_that_is_interrupted_goes_on(
    run: Run, tmp_path: Path, files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from ddcodec.evaluate import measure

    real, calls = measure.on_file, []

    def second_stops(*given: Any) -> Any:
        calls.append(given)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*given)

    with monkeypatch.context() as patch:
        patch.setattr(measure, "on_file", second_stops)
        outcome = run("compare", *files, "--test", "digits", *SHORT)
    assert (outcome.code, outcome.out) == (130, "")
    assert len(list(tmp_path.glob("poster.ddset.unfinished-*"))) == 1
    outcome = run("compare", *files, "--test", "digits", *SHORT)
    assert outcome.code == 0
    assert outcome.err.count(", as kept") == 2
    assert list(tmp_path.glob("*.unfinished-*")) == []
