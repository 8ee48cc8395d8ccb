"""``observer train``: a file, a line with the accuracy, and one line for what is wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ddcodec.nn.workarounds import make_torchvision_importable

Run = Callable[..., Any]
WORDS = ("observer", "train", "digits", "--epochs", "0.5", "--device", "cpu")


def test_it_writes_the_file_and_prints_the_accuracy(run: Run, tmp_path: Path) -> None:
    outcome = run(*WORDS, "-o", "o.safetensors")
    assert outcome.code == 0
    assert outcome.out.startswith("o.safetensors: convnet3 for digits, ")
    assert "on the test split, 5 steps in" in outcome.out
    again = run(*WORDS, "-o", "o.safetensors")
    assert again.code == 5
    assert "exists" in again.error_line
    report = json.loads(run(*WORDS, "-o", "o.safetensors", "-f", "--json").out)
    assert set(report) == {
        "file", "architecture", "source", "accuracy", "steps", "seconds", "bytes",
        "embedded_bytes", "digest",
    }  # fmt: skip
    assert report["bytes"] == (tmp_path / "o.safetensors").stat().st_size
    assert report["embedded_bytes"] is None


def test_bytes_find_a_network_and_are_not_exceeded(run: Run, tmp_path: Path) -> None:
    outcome = run(*WORDS, "--bytes", "1500")
    assert outcome.code == 0, outcome.err
    said = re.fullmatch(
        r"residual\.safetensors: (residual-\d+) for digits, .* on the test split, 5 steps in .* "
        r"bytes; (1,\d+) at most in a \.ddset file\n",
        outcome.out,
    )
    assert said is not None
    again = run(*WORDS, "--arch", said[1], "--bytes", "1500", "-o", "o", "--json")
    report = json.loads(again.out)
    assert report["architecture"] == said[1]
    assert 1300 < report["embedded_bytes"] == int(said[2].replace(",", "")) <= 1500
    assert report["digest"] in (tmp_path / "residual.safetensors").read_bytes().decode("latin-1")


def test_fewer_bytes_keep_the_size_of_the_weights(
    run: Run, tmp_path: Path, observer_file: Path
) -> None:
    assert run(*WORDS, "--arch", "residual-12", "-o", "wide.safetensors").code == 0
    words = ("observer", "train", "digits", "--epochs", "0", "--device", "cpu", "--weights")
    again = run(*words, "wide.safetensors", "--bytes", "1100", "-o", "o", "--json")
    assert again.code == 0, again.err
    report = json.loads(again.out)
    assert report["architecture"] == "residual-12"
    assert report["embedded_bytes"] <= 1100
    few = run(*words, "wide.safetensors", "--bytes", "300", "-o", "p")
    assert "residual-12 takes about" in few.error_line
    (tmp_path / "any.safetensors").write_bytes(b"no observer")
    other = run(*words, "any.safetensors", "--bytes", "1100", "-o", "p")
    assert "states a size; name it, as in --arch residual-42" in other.error_line
    other = run(*words, observer_file, "--bytes", "1100", "-o", "p")
    assert "--bytes is for --arch residual, not convnet3" in other.error_line
    assert {few.code, other.code} == {2}


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--arch", "vgg"), 2),
        (("--epochs", "0"), 2),
        (("--time", "9"), 2),
        (("--smoothing", "2"), 2),
        (("--bytes", "1500", "--arch", "convnet3"), 2),
        (("--bits", "2", "--arch", "convnet3"), 2),
        (("--bytes", "50"), 2),
        (("--bytes", "1500", "--bits", "8"), 2),
        (("--arch", "residual"), 2),
        (("-o", "none/o.safetensors"), 5),
    ],
)
def test_what_is_wrong_is_one_line(run: Run, words: tuple[str, ...], code: int) -> None:
    outcome = run(*WORDS, *words)
    assert outcome.code == code
    assert outcome.error_line.startswith("error: ")


def test_a_library_model_is_trained_by_name_and_from_a_checkpoint(run: Run) -> None:
    make_torchvision_importable()
    pytest.importorskip("timm")
    name = ("--arch", "timm:mobilenetv3_small_050")
    outcome = run(*WORDS, *name, "--layer", "blocks.0")
    assert outcome.code == 0, outcome.err
    assert outcome.out.startswith("timm-mobilenetv3_small_050.safetensors: timm:mobilenetv3_small")
    again = run(*WORDS[:3], *name, "--epochs", "0", "--device", "cpu", "-o", "b.safetensors",
                "--weights", "timm-mobilenetv3_small_050.safetensors")  # fmt: skip
    assert again.code == 0, again.err
    assert ", 0 steps in" in again.out
    for more, said in (
        (("--layer", "blocks.0"), "--layer belongs to"),
        ((*name, "--layer", "x", "-f"), "no layer 'x'"),
        (("--arch", "timm:nothing", "-f"), "no classifier 'nothing'"),
        (("--weights", "none.pt"), "no such file"),
    ):
        wrong = run(*WORDS, *more)
        assert wrong.code in (2, 5)
        assert said in wrong.error_line
