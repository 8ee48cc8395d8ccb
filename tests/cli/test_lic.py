"""``encode --codec lic`` and what the other commands say of its files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.fixture
def observer(observer_file: Path) -> Path:
    return observer_file


def words(observer: Path, *more: str) -> list[str]:
    return [
        *("encode", "digits", "--codec", "lic", "--ipc", "1", "--observer", str(observer)),
        *("--device", "cpu", "-o", "x.ddset", *more),
    ]


def test_a_file_is_made_told_about_and_learned_from(run: Run, observer: Path) -> None:
    made = run(*words(observer, "--steps", "3"))
    assert made.code == 0
    assert "x.ddset: 640 pixels (1 IPC)" in made.err
    told = run("info", "x.ddset").out
    assert "10 of 2x2 cells, 50 training images" in told
    assert "logits, temperature" in told
    facts = json.loads(run("info", "x.ddset", "--json").out)
    assert facts["bytes"]["labels"] > 0
    assert facts["provenance"]["observer"]["architecture"] == "convnet3"
    assert run("verify", "x.ddset").code == 0
    result = run("train", "x.ddset", "--nets", "1", "--steps", "5", "--device", "cpu", "--json")
    assert json.loads(result.out)["steps"] == 5
    words_ = ("train", "x.ddset", "--nets", "1", "--steps", "5", "--device", "cpu")
    beside = run(*words_, "--observer", observer)
    assert "random real images, the observer's labels, same bytes" in beside.out
    assert "class means" not in beside.out
    assert run("preview", "x.ddset", "-o", "x.png").code == 0
    assert run("decode", "x.ddset", "-o", "out", "--to", "imagefolder").code == 0


def test_the_switches_of_the_ablation_are_options_of_their_own(run: Run, observer: Path) -> None:
    outcome = run(*words(observer, "--select", "random", "--no-compensate", "--labels", "class"))
    assert outcome.code == 0
    command = json.loads(run("info", "x.ddset", "--json").out)["provenance"]["command"]
    assert "--select random" in command
    assert "--labels class" in command
    assert "--no-compensate" in command
    again = run(*words(observer, "--steps", "2", "--select", "crops", "--squeeze", "9", "-f"))
    assert again.code == 0
    assert "10 of 3x3 cells, 100 training images" in run("info", "x.ddset").out


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (("--ipc", "0.5"), 2, "--ipc must be from 1"),
        (("--squeeze", "2"), 2, "--squeeze must be one of 1, 4"),
        (("--labels", "top=10"), 2, "--labels top=10"),
        (("--quality", "small"), 2, "--quality belongs to the codecs podd and ppodd"),
        (("--codec", "podd"), 2, "--observer belongs to the codecs lic and d3m"),
        (("--observer", "none"), 5, "none: no such file"),
        (("--ipc", "40"), 5, "training images"),
    ],
)
def test_what_is_wrong_is_one_line(
    run: Run, observer: Path, more: tuple[str, ...], code: int, said: str
) -> None:
    outcome = run(*words(observer), *more)
    assert outcome.code == code
    assert said in outcome.error_line


def test_bytes_are_enough_to_ask_for_a_file_with_labels_that_live(run: Run, tmp_path: Path) -> None:
    words_ = ("encode", "digits", "--codec", "lic", "--labels", "live", "--device", "cpu")
    made = run(*words_, "--bytes", "4500", "--epochs", "0.5", "-o", "x.ddset")
    assert made.code == 0, made.err
    said = made.err.splitlines()
    assert any(line.startswith("network: residual-") for line in said)
    assert any(line.endswith(" of 4,500 bytes") for line in said)
    assert 4000 < (tmp_path / "x.ddset").stat().st_size <= 4500
    assert "that labels every view, temperature 1.5" in run("info", "x.ddset").out


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--bytes", "900"), "--bytes 900 is too few: the smallest file of these settings takes"),
        (("--ipc", "1"), "only --labels live with --bytes trains one itself"),
        (("--bytes", "900", "--observer", "o", "--time", "9m"), "--time is for a network that"),
        (("--bytes", "9000", "--time", "9"), "--time"),
        (("--bytes", "9000", "--images", "avif=0"), "--images must be zstd"),
        ((), "give --ipc, a whole number of mosaics per class, or --bytes"),
    ],
)
def test_what_is_wrong_with_a_budget_is_one_line(
    run: Run, tmp_path: Path, more: tuple[str, ...], said: str
) -> None:
    words_ = ("encode", "digits", "--codec", "lic", "--labels", "live", "--device", "cpu")
    outcome = run(*words_, *more, "-o", "x.ddset")
    assert outcome.code == 2
    assert said in outcome.error_line
    assert list(tmp_path.iterdir()) == []


def test_an_observer_is_no_ddset_and_a_ddset_no_observer(run: Run, observer: Path) -> None:
    assert run("info", observer).code == 3
    assert run(*words(observer, "--steps", "1")).code == 0
    outcome = run(*words(Path("x.ddset"), "-f"))
    assert outcome.code == 3
    assert "observer train" in outcome.error_line
