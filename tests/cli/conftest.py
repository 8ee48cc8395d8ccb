"""How the tests of the command line run it: in this process, or as a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ddcodec_cli.app import main

from tests.helpers.few_steps import learn_briefly
from tests.helpers.made_once import made_once


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def error_line(self) -> str:
        """The one line on stderr beside what was read; fails where there is none or more."""
        lines = [line for line in self.err.splitlines() if ": read " not in line]
        assert len(lines) == 1, self.err
        return lines[0]


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Outcome]:
    """Run the command line in an empty folder and give exit code and output."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DDCODEC_DEBUG", raising=False)

    def call(*words: object) -> Outcome:
        capsys.readouterr()
        code = main([str(word) for word in words])
        said = capsys.readouterr()
        return Outcome(code, said.out, said.err)

    return call


@pytest.fixture
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks beside a file learn for a moment only."""
    learn_briefly(monkeypatch)


@pytest.fixture
def process(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run ``python -m ddcodec`` as a process of its own, in the same empty folder."""

    def call(*words: object, **settings: Any) -> subprocess.CompletedProcess[str]:
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "timeout": 120}
        command = [sys.executable, "-m", "ddcodec", *map(str, words)]
        return subprocess.run(
            command, cwd=tmp_path, text=True, check=False, **{**options, **settings}
        )

    return call


@pytest.fixture
def make_source(tmp_path: Path) -> Callable[..., Path]:
    """Write an ``.npz`` source: grey noise around one brightness for each class."""

    def make(
        name: str = "shades.npz",
        *,
        per_class: int = 6,
        side: int = 8,
        classes: int = 3,
        test: bool = True,
    ) -> Path:
        random = np.random.default_rng(5)
        labels = np.repeat(np.arange(classes), per_class)
        base = (40 + 160 * labels / classes)[:, None, None]
        noisy = np.clip(base + random.normal(0, 12, (len(labels), side, side)), 0, 255)
        images = noisy.astype(np.uint8)
        arrays = {"train_images": images, "train_labels": labels}
        if test:
            arrays |= {"test_images": images, "test_labels": labels}
        names = np.array([f"shade {index}" for index in range(classes)])
        np.savez(tmp_path / name, class_names=names, **arrays)
        return tmp_path / name

    return make


@pytest.fixture(scope="session")
def digits_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real file, made by the command itself: digits at 0.9 IPC after four steps."""

    def encode(path: Path) -> None:
        words = ["encode", "digits", "--ipc", "0.9", "--profile", "quick", "--steps", "4"]
        assert main([*words, "--device", "cpu", "-o", str(path)]) == 0

    return made_once(tmp_path_factory, "by-command/digits.ddset", encode)
