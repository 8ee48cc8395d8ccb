"""A new method is one folder and one line of the registry; every command then knows it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import ddcodec
from ddcodec import encode, load
from ddcodec.codecs import registry
from ddcodec.sources import Source

ROOT = Path(__file__).parents[2]
START = (
    "import sys; from ddcodec.codecs.registry import MODULES; "
    "MODULES['toy'] = 'tests.codecs.toy.codec'; "
    "from ddcodec_cli.app import main; sys.exit(main(sys.argv[1:]))"
)


def run(*words: object, code: int = 0) -> str:
    command = [sys.executable, "-c", START, *map(str, words)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def test_every_command_knows_a_codec_that_was_registered(tmp_path: Path) -> None:
    file = tmp_path / "t.ddset"
    said = run("encode", "digits", "--codec", "toy", "--ipc", 2, "--pick", "last", "-o", file)
    assert "20 images" in said
    facts = json.loads(run("info", file, "--json"))
    assert (facts["codec"], facts["ipc"], facts["toys"]) == ("toy", 2.0, 20)
    assert "toys" in run("info", file)
    run("verify", file)
    run("preview", file, "-o", tmp_path / "t.png")
    run("decode", file, "-o", tmp_path / "out", "--to", "npz")
    with np.load(tmp_path / "out" / "data.npz") as data:
        assert data["images"].shape == (20, 1, 8, 8)
    result = json.loads(run("train", file, "--nets", 2, "--json", "--quiet"))
    assert result["accuracy_mean"] > 0.3
    assert "Some images (toy)" in run("encode", "--codec", "toy", "--help")
    assert "--pick belongs to the codec toy" in run(
        "encode", "digits", "--ipc", 1, "--pick", "last", "-o", tmp_path / "x.ddset", code=2
    )


def test_a_registered_codec_is_there_in_python(
    digits: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry.MODULES, "toy", "tests.codecs.toy.codec")
    Toy = ddcodec.Toy
    encode(digits, tmp_path / "a.ddset", "toy", ipc=1)
    encode(digits, tmp_path / "b.ddset", Toy(ipc=1))
    assert len(load(tmp_path / "a.ddset")) == len(load(tmp_path / "b.ddset")) == 10
