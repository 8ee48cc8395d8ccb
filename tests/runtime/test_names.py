"""A locale of ASCII changes neither what classes are called nor where their images go."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ddcodec import load
from ddcodec.runtime.names import file_name, utf8

ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
CAFE = "caf\u00e9"


def test_names_that_are_text_stay_as_they_are() -> None:
    for name in ("ant", CAFE, "\u4e00"):
        assert utf8(name) == file_name(name) == name
    assert utf8("\udcff") == "\udcff"  # is not UTF-8


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_class_is_called_the_same_where_the_locale_is_ascii(tmp_path: Path) -> None:
    folder = tmp_path / "b\u00f6se"
    for name in (CAFE, "ant"):
        (folder / "train" / name).mkdir(parents=True)
        for i in range(2):
            values = np.random.default_rng(i).integers(0, 256, (8, 8), np.uint8)
            Image.fromarray(values).save(folder / "train" / name / f"\u00ef{i}.png")
    how = ["--ipc", "1", "--steps", "1", "--profile", "quick", "--seed", "0", "--device", "cpu"]
    commands = [
        ["encode", folder.name, *how, "-o", "\u00f6.ddset"],
        ["decode", "\u00f6.ddset", "-o", "\u00e4us", "--to", "imagefolder"],
    ]
    for words in commands:
        done = subprocess.run(
            [sys.executable, "-m", "ddcodec", *words],
            cwd=tmp_path, env=os.environ | ASCII, capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    ds = load(tmp_path / "\u00f6.ddset")
    assert ds.classes == ("ant", CAFE)
    assert ds.manifest.source["name"] == folder.name
    assert (tmp_path / "\u00e4us" / "train" / CAFE).is_dir()
