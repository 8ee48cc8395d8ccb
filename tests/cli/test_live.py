"""A file whose network labels every view, on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ddcodec.sources import Source
from tests.helpers.live_sets import live_set

Run = Callable[..., Any]
SHORT = ("--nets", "1", "--steps", "2", "--device", "cpu")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory, digits: Source, observer_file: Path) -> Path:
    path = tmp_path_factory.mktemp("live") / "x.ddset"
    live_set(digits, observer_file, path)
    return path


def test_the_network_in_the_file_stands_beside_its_students(
    run: Run, file: Path, digits_file: Path
) -> None:
    report = json.loads(run("train", file, *SHORT, "--json").out)
    assert report["network_in_file"] > 0.5
    share = f"{100 * report['network_in_file']:.1f} %"
    said = f"no training: the network in the file, which labels views, has {share} by itself"
    assert said in run("train", file, *SHORT).out.splitlines()
    both = run("compare", file, digits_file, *SHORT)
    assert f"{file}, {said}" in both.out.splitlines()
    assert f"{digits_file}, no training" not in both.out
    plain = json.loads(run("train", digits_file, *SHORT, "--json").out)
    assert plain["network_in_file"] is None


def test_a_sweep_says_it_of_its_files(run: Run, observer_file: Path) -> None:
    words = ("--codec", "lic", "--ipc", "2", "--squeeze", "1", "--observer", observer_file)
    short = ("--steps", "2", "--nets", "1", "--train-steps", "2", "--device", "cpu")
    without = ("--no-baselines", "--no-plot", "-o", "out")
    outcome = run("sweep", "digits", *words, "--labels", "live", *short, *without)
    assert outcome.code == 0, outcome.err
    (point,) = json.loads(Path("out/sweep.json").read_text())["points"]
    assert point["network_in_file"] > 0.5
    share = f"{100 * point['network_in_file']:.1f} %"
    said = f"the network in the file, which labels views, has {share} by itself"
    assert f"{point['file']}, no training: {said}" in outcome.out.splitlines()
    assert any(line.startswith("[1/1] 2 IPC") and said in line for line in outcome.err.splitlines())
    again = run("train", f"out/{point['file']}", *SHORT, "--json")
    assert json.loads(again.out)["network_in_file"] == point["network_in_file"]


def test_a_score_asks_the_network_itself(run: Run, file: Path) -> None:
    outcome = run("score", file, *SHORT, "--full-steps", "1")
    assert outcome.code == 0, outcome.err
    assert "too high" not in outcome.err
    (line,) = (line for line in outcome.out.splitlines() if line.startswith("rdm-any"))
    assert "file's network" in line
    assert "views_upright" in line


def test_decode_says_that_labels_are_of_plain_images(
    run: Run, file: Path, digits_file: Path, tmp_path: Path
) -> None:
    said = "labels are those of the images as they are"
    outcome = run("decode", file, "-o", tmp_path / "a", "--to", "npz")
    assert said in outcome.err
    assert f"'ddcodec train' measures {file} with labels of views" in outcome.err
    assert said not in run("decode", digits_file, "-o", tmp_path / "b", "--to", "npz").err


@pytest.mark.parametrize("words", [("merge", "{0}", "{0}"), ("split", "{0}", "--classes", "0")])
def test_it_is_neither_joined_nor_cut(
    run: Run, file: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    outcome = run(*(word.format(file) for word in words), "-o", tmp_path / "out.ddset")
    assert outcome.code == 2
    assert "its labels come from a network for these classes; decode it" in outcome.err
    assert list(tmp_path.iterdir()) == []
