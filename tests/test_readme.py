"""The README's commands and its Python run as they stand, from top to bottom in one folder."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What installs, and what other tests run.
SKIPPED = re.compile(r"^(pip|python -m pip|python3? -m venv|make|git|cd|source|\.)\b")
# What would take minutes. The real data sets of the README are not at hand everywhere.
SHORTER = (
    (r"--time \S+", "--time 2s"),
    (r"--steps \d+", "--steps 4"),
    (r"--nets \d+", "--nets 1"),
    (r"^(ddcodec encode (cifar100|cifar10|mnist)\b(?!.* -o ).*)", r"\1 -o \2.ddset"),
    (r"\b(cifar100|cifar10|mnist)\b(?!\.)", "digits"),
    (r"^(ddcodec encode (?!.*--(time|steps)).*)", r"\1 --steps 4"),
    (r"^(ddcodec observer train (?!.*--(time|epochs)).*)", r"\1 --epochs 1"),
    (r"^(ddcodec prior train (?!.*--(time|steps)).*)", r"\1 --steps 2 --width 8"),
    (r"^(ddcodec sweep (?!.*--(time|steps)).*)", r"\1 --steps 2 --train-steps 2"),
    (r"^(ddcodec train (?!.*--nets).*)", r"\1 --nets 1"),
    (r"^(ddcodec demo(?!.*--time).*)", r"\1 --time 2s --nets 1"),
)
DIFFERENT = 7  # what `ddcodec diff` ends with where files differ: an answer, no failure


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """Give each block of commands, Python, or what that Python prints: its language and text."""
    for language, content in FENCE.findall(text):
        if language in ("sh", "python", "text"):
            yield language, content


def commands(block: str) -> Iterator[str]:
    """Give the commands of a block, shortened; comments and continued lines are put right."""
    for line in block.replace("\\\n", " ").splitlines():
        command = re.sub(r"(^|\s)#.*", "", line).removeprefix("$ ").strip()
        if not command or SKIPPED.match(command):
            continue
        for long, short in SHORTER:
            command = re.sub(long, short, command)
        yield command


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what a reader has: a checkout's examples, and images of their own."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, start in (("ddcodec", "-m ddcodec"), ("python", "")):
        tool = tools / name
        tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" {start} "$@"\n', encoding="utf-8")
        tool.chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join([str(tools), os.environ["PATH"]]))
    work = tmp_path / "work"
    work.mkdir()
    shutil.copytree(ROOT / "examples", work / "examples")
    random = np.random.default_rng(0)
    for split in ("train", "test"):
        for name, level in (("dark", 40), ("light", 200)):
            (work / "photos" / split / name).mkdir(parents=True)
            for index in range(4):
                pixels = random.integers(level - 30, level + 30, (16, 16, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(work / "photos" / split / name / f"{index}.png")
    monkeypatch.chdir(work)
    return work


def own_images() -> dict[str, object]:
    """Return what the README takes as given in Python: real images, and distilled ones."""
    random = np.random.default_rng(1)
    return {
        "real_images": random.integers(0, 256, (6, 8, 8, 1), dtype=np.uint8),
        "images": random.integers(0, 256, (4, 3, 8, 8), dtype=np.uint8),
        "labels": np.array([0, 1, 0, 1]),
        "classes": ("dark", "light"),
    }


@pytest.mark.slow
@pytest.mark.usefixtures("folder")
def test_the_readme_runs_from_top_to_bottom() -> None:
    known = own_images()
    ran = {"sh": 0, "python": 0}
    printed = ""
    for language, content in blocks((ROOT / "README.md").read_text(encoding="utf-8")):
        if language == "text":  # after Python: what it prints
            assert printed in ("", content)
            continue
        printed = ""
        if language == "python":
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile(content, "README.md", "exec"), known)
            printed = out.getvalue()
            ran["python"] += 1
            continue
        for command in commands(content):
            done = subprocess.run(
                command, shell=True, capture_output=True, text=True, timeout=300, check=False
            )
            answers = (0, DIFFERENT) if command.startswith("ddcodec diff") else (0,)
            assert done.returncode in answers, f"{command}\n{done.stdout}{done.stderr}"
            ran["sh"] += 1
    assert min(ran.values()) > 0, "a README with commands and Python, marked as sh and python"


def test_commands_are_found_and_shortened() -> None:
    text = "```sh\n# first\nmake demo\nddcodec encode digits \\\n  --time 9m -o a  # nine\n```\n"
    ((language, content),) = blocks(text + "```\nddcodec info\n```\n")
    assert language == "sh"
    assert [" ".join(c.split()) for c in commands(content)] == [
        "ddcodec encode digits --time 2s -o a"
    ]
