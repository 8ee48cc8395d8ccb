"""``score`` on a real file: its report, what is kept of it, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ddcodec
from ddcodec.evaluate import scores

Run = Callable[..., Any]
SHORT = ("--nets", "2", "--steps", "2", "--full-steps", "1", "--device", "cpu")


def test_the_report_holds_both_scores_and_all_they_come_from(run: Run, digits_file: Path) -> None:
    outcome = run("score", digits_file, *SHORT, "--json", "--augment", "shift")
    assert outcome.code == 0, outcome.err
    report = json.loads(outcome.out)
    assert (report["test"], report["test_images"], report["nets"]) == ("digits", 397, 2)
    per_net = {name: entry["per_net"] for name, entry in report["accuracies"].items()}
    weights = scores.Weights(report["lrs_lambda"], report["ars_lambda"])
    for name, value in scores.robust_scores(per_net, weights).items():
        assert report[name] == pytest.approx(value), name
    assert report["random"] == {
        "equal": "pixels",
        "labels": "class",
        "images_per_class": 1,
        "stored_size": [7, 7],
        "pixels": 490,
        "bytes": report["random"]["bytes"],
    }
    assert not list(digits_file.parent.glob("*.unfinished-*"))


def test_people_read_the_scores_and_every_accuracy(run: Run, digits_file: Path) -> None:
    outcome = run("score", digits_file, *SHORT)
    lines = outcome.out.splitlines()
    assert lines[0].startswith("label-robust score  ")
    assert lines[1].startswith("augmentation-robust score  ")
    assert lines[2] == (
        "mean ± std of 2 networks on 397 test images of digits, 2 steps, random images of equal "
        "pixels"
    )
    rows = [line.split()[0] for line in lines if "-" in line.split(" ")[0] and " %" in line]
    assert rows == [
        *("real-hard", "syn-hard", "syn-any", "rdm-any"),
        *("syn-aug", "rdm-aug", "syn-naug", "rdm-naug"),
    ]


def test_networks_of_an_interrupted_run_are_not_trained_again(
    run: Run, tmp_path: Path, digits_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "mine.ddset"
    mine.write_bytes(digits_file.read_bytes())
    whole = json.loads(run("score", mine, *SHORT, "--json").out)

    def stop(*_: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(scores, "full_data", stop)
        outcome = run("score", mine, *SHORT)
    assert (outcome.code, outcome.out) == (130, "")
    assert "this file, hard labels: " in outcome.err
    assert "the same command goes on from" in outcome.err
    outcome = run("score", mine, *SHORT, "--json")
    assert ", as kept" in outcome.err
    assert json.loads(outcome.out) == whole
    assert [path.name for path in tmp_path.iterdir()] == ["mine.ddset"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--lrs-lambda", "1.5"), "--lrs-lambda"),
        (("--ars-lambda", "-0.1"), "--ars-lambda"),
        (("--equal", "images"), "--equal"),
        (("--augment", "blur"), "--augment"),
        (("--nets", "0"), "--nets"),
    ],
)
def test_an_option_out_of_range_is_one_line(
    run: Run, digits_file: Path, words: tuple[str, ...], said: str
) -> None:
    outcome = run("score", digits_file, *SHORT, *words)
    assert (outcome.code, outcome.out) == (2, "")
    assert said in outcome.error_line


def test_a_source_without_training_images_of_a_class_is_refused(
    run: Run, digits_file: Path, make_source: Callable[..., Path]
) -> None:
    outcome = run("score", digits_file, *SHORT, "--test", make_source())
    assert (outcome.code, outcome.out) == (2, "")
    assert "shades" in outcome.error_line


def test_a_file_that_is_none_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "x.ddset").write_bytes(b"hello")
    outcome = run("score", "x.ddset")
    assert (outcome.code, outcome.out) == (3, "")
    assert "x.ddset" in outcome.error_line
    assert run("score", "absent.ddset").code == 5


def test_any_files_images_can_be_scored(run: Run, tmp_path: Path) -> None:
    digits = ddcodec.sources.load("digits")
    images = digits.train.images[:30].transpose(0, 3, 1, 2)
    labels = digits.train.labels[:30]
    ddcodec.pack(images, labels, digits.classes, tmp_path / "own.ddset", chunk=16)
    outcome = run("score", "own.ddset", "--test", "digits", *SHORT, "--equal", "bytes", "--json")
    assert outcome.code == 0, outcome.err
    report = json.loads(outcome.out)
    assert report["random"]["bytes"] <= (tmp_path / "own.ddset").stat().st_size
    of = report["accuracies"]
    assert of["syn_hard"] == of["syn_any"]  # the labels are classes already


def test_labels_of_an_observer_want_an_observer_for_random_images(
    run: Run, tmp_path: Path, observer_file: Path
) -> None:
    words = ("encode", "digits", "--codec", "lic", "--ipc", "1", "--observer", observer_file)
    assert run(*words, "--steps", "2", "--device", "cpu", "-o", "x.ddset").code == 0
    outcome = run("score", "x.ddset", *SHORT, "--quiet")
    assert "x.ddset: its labels are those of an observer" in outcome.error_line
    outcome = run("score", "x.ddset", *SHORT, "--quiet", "--observer", observer_file)
    assert (outcome.code, outcome.err) == (0, "")
    assert "observer's" in outcome.out
