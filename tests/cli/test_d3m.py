"""``prior train``, ``encode --codec d3m``, and what the other commands say of its files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ddcodec_cli.app import main

Run = Callable[..., Any]


@pytest.fixture
def observer(observer_file: Path) -> Path:
    return observer_file


@pytest.fixture(scope="module")
def prior(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("prior") / "small"
    words = ["prior", "train", "digits", "-o", str(path), "--steps", "2", "--batch", "2"]
    assert main([*words, "--width", "8", "--device", "cpu"]) == 0
    return path


def words(observer: Path, prior: Path, *more: str) -> list[str]:
    return [
        *("encode", "digits", "--codec", "d3m", "--ipc", "1", "--observer", str(observer)),
        *("--prior", str(prior), "--sampling-steps", "2", "--device", "cpu", "-o", "x.ddset"),
        *more,
    ]


def test_a_file_is_made_told_about_and_learned_from(run: Run, observer: Path, prior: Path) -> None:
    made = run(*words(observer, prior, "--steps", "1"))
    assert made.code == 0, made.err
    assert "x.ddset: 640 pixels (1 IPC)" in made.err
    assert "and the model small of" in made.err
    told = run("info", "x.ddset").out
    assert "10 from 10 collages" in told
    assert "small (" in told
    assert "64 values a class" in told
    facts = json.loads(run("info", "x.ddset", "--json").out)
    assert facts["external"][0]["name"] == "small"
    assert run("verify", "x.ddset").code == 0
    learned = ("train", "x.ddset", "--nets", "1", "--steps", "2", "--device", "cpu", "--json")
    result = json.loads(run(*learned, "--prior", prior, "--cache", "cache").out)
    assert result["steps"] == 2
    assert result["external_bytes"] == facts["external"][0]["bytes"]
    assert list(Path("cache").rglob("*.u8"))
    assert run("preview", "x.ddset", "-o", "x.png", "--prior", prior).code == 0
    out = run("decode", "x.ddset", "-o", "out", "--to", "npz", "--prior", prior, "--cache", "cache")
    assert out.code == 0, out.err


def test_a_missing_or_wrong_model_ends_with_4_in_one_line(
    run: Run, observer: Path, prior: Path, tmp_path: Path
) -> None:
    assert run(*words(observer, prior, "--tokens", "names", "--labels", "class")).code == 0
    for more, said in (
        ((), "needed is 'small'"),
        (("--prior", "owner/model"), "hf download owner/model"),
        (("--prior", tmp_path), "has no unet/config.json"),
    ):
        outcome = run("train", "x.ddset", *more)
        assert outcome.code == 4
        assert said in outcome.error_line
    assert run("train", "x.ddset", "--prior", "nowhere").code == 2


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (("--ipc", "0.5"), 2, "--ipc must be from 1"),
        (("--squeeze", "9"), 2, "--squeeze belongs to the codec lic"),
        (("--collage", "0"), 2, "--collage must be"),
        (("--codec", "podd"), 2, "--observer belongs to the codecs lic and d3m"),
        (("--codec", "lic"), 2, "--prior belongs to the codec d3m"),
        (("--observer", "none"), 5, "none: no such file"),
        (("--prior", "none"), 2, "no such folder"),
    ],
)
def test_what_is_wrong_is_one_line(
    run: Run, observer: Path, prior: Path, more: tuple[str, ...], code: int, said: str
) -> None:
    outcome = run(*words(observer, prior), *more)
    assert outcome.code == code
    assert said in outcome.error_line


def test_observer_and_prior_are_asked_for(run: Run) -> None:
    outcome = run("encode", "digits", "--codec", "d3m", "--ipc", "1")
    assert outcome.code == 2
    assert "--observer" in outcome.error_line
    assert "--prior" in outcome.error_line


def test_training_a_prior_checks_its_arguments(run: Run, prior: Path) -> None:
    assert "--resolution" in run("prior", "train", "digits", "--resolution", "9").error_line
    outcome = run("prior", "train", "digits", "-o", prior)
    assert outcome.code == 5
    assert "exists" in outcome.error_line
