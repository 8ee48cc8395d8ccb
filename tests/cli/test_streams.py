"""Closed, full and narrow standard streams: no work is lost, the exit code tells the truth."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

QUICK = ("encode", "digits", "--ipc", "0.5", "--steps", "1", "--profile", "quick", "-o", "x.ddset")
NO_CORRECTION = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}


def shell(folder: Path, line: str, *words: object, **more: str) -> subprocess.CompletedProcess[str]:
    """Run ``ddcodec WORDS`` with the redirections of a shell's line, where it stands as ``$@``."""
    command = ["bash", "-c", line, "bash", sys.executable, "-m", "ddcodec", *map(str, words)]
    return subprocess.run(
        command, cwd=folder, env=os.environ | more, capture_output=True, text=True, check=False,
        timeout=120,
    )  # fmt: skip


@pytest.mark.parametrize(
    "streams",
    ["2>&-", "2>/dev/full", ">&-", ">/dev/full", "<&- >&- 2>&-", "<&- 2>/dev/full", "2> >(true)"],
)
def test_an_encode_is_done_whatever_becomes_of_its_messages(tmp_path: Path, streams: str) -> None:
    done = shell(tmp_path, f'"$@" {streams}', *QUICK)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["x.ddset"]
    assert shell(tmp_path, '"$@"', "verify", "x.ddset").returncode == 0


COMMANDS = [("info",), ("info", "--json"), ("verify",), ("diff",)]


@pytest.mark.parametrize("command", COMMANDS)
def test_what_a_full_disk_swallows_is_no_success(
    tmp_path: Path, digits_file: Path, small: bytes, command: tuple[str, ...]
) -> None:
    other = tmp_path / "small.ddset"
    other.write_bytes(small)
    done = shell(tmp_path, '"$@" >/dev/full', *command, digits_file, other)
    assert done.returncode == 5
    assert done.stderr == "error: stdout: cannot be written: No space left on device\n"
    assert shell(tmp_path, '"$@" >/dev/full 2>&1', *command, digits_file, other).returncode == 5


@pytest.mark.parametrize("command", COMMANDS)
def test_a_reader_who_has_seen_enough_gets_no_message(
    tmp_path: Path, digits_file: Path, command: tuple[str, ...]
) -> None:
    line = '"$@" | true; exit ${PIPESTATUS[0]}'
    done = shell(tmp_path, line, *command, *[digits_file] * 2, tmp_path / "none")
    assert done.returncode in (2, 5)  # 2 is what diff says of three files
    assert "Traceback" not in done.stderr
    assert "Broken" not in done.stderr


def test_a_stdout_that_was_never_there_is_wanted_by_nobody(
    tmp_path: Path, digits_file: Path
) -> None:
    for command in ("info", "verify"):
        done = shell(tmp_path, '"$@" >&-', command, digits_file)
        assert (done.returncode, done.stderr) == (0, "")
    assert shell(tmp_path, '"$@" <&-', "verify", "-").returncode == 3


@pytest.mark.parametrize(
    ("words", "code"), [(("info", "absent.ddset"), 5), (("encode",), 2), (("--help",), 0)]
)
@pytest.mark.parametrize("streams", ["2>&-", "2>/dev/full"])
def test_an_error_that_nobody_hears_keeps_its_code(
    tmp_path: Path, words: tuple[str, ...], code: int, streams: str
) -> None:
    assert shell(tmp_path, f'"$@" {streams}', *words).returncode == code


def test_a_terminal_of_ascii_shows_names_as_escapes_and_lines_as_hyphens(tmp_path: Path) -> None:
    code = """
import numpy, ddcodec, sys
ddcodec.pack(numpy.zeros((3, 1, 4, 4), numpy.uint8), numpy.arange(3), ["caf\\xe9", "\\u732b", "x"],
             "x.ddset")
"""
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    one = shell(tmp_path, '"$@"', "info", "x.ddset", **NO_CORRECTION)
    two = shell(tmp_path, '"$@"', "info", "x.ddset", "x.ddset", **NO_CORRECTION)
    assert (one.returncode, two.returncode) == (0, 0)
    assert "caf\\xe9, \\u732b, x" in one.stdout
    assert "-----" in two.stdout
    assert (one.stdout + two.stdout).isascii()
