"""What holds for every command: help, exit codes, one line for an error, a light start."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ddcodec
from ddcodec import errors

Run = Callable[..., Any]

COMMANDS = [
    *("encode", "info", "verify", "train", "preview", "decode", "sweep", "diff", "observer"),
    *("score", "compare", "demo"),
]


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_names_every_command_on_stdout(run: Run, flag: str) -> None:
    outcome = run(flag)
    assert outcome.code == 0
    assert all(f"\n  {name} " in outcome.out for name in COMMANDS)
    assert outcome.err == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(run: Run, command: str) -> None:
    outcome = run(command, "-h")
    assert outcome.code == 0
    assert f"Usage: ddcodec {command}" in outcome.out


def test_no_command_is_a_usage_error_and_shows_the_help(run: Run) -> None:
    outcome = run()
    assert (outcome.code, outcome.out) == (2, "")
    assert "Usage: ddcodec" in outcome.err


def test_the_version_is_that_of_the_package(run: Run) -> None:
    assert run("--version").out == f"ddcodec {ddcodec.__version__}\n"


@pytest.mark.parametrize(
    "words",
    [
        ["nope"],
        ["info"],
        ["info", "--nope", "x.ddset"],
        ["encode", "digits"],
        ["encode", "digits", "--ipc", "many"],
        ["encode", "digits", "--ipc", "1", "--profile", "slow"],
        ["encode", "digits", "--ipc", "1", "--time", "9"],
        ["encode", "digits", "--ipc", "1", "--patches", "16"],
        ["decode", "x.ddset", "-o", "out", "--to", "zip"],
        ["preview", "x.ddset", "-o", "x.jpg"],
        ["preview", "x.ddset", "-o", "x.html"],
        ["preview", "x.ddset", "-o", "x.png", "--html"],
        ["preview", "x.ddset", "--html", "--prior", "folder"],
        ["train", "x.ddset", "--nets", "0"],
        ["train", "x.ddset", "--steps", "0"],
    ],
)
def test_a_usage_error_is_one_line_and_exit_2(run: Run, words: list[str]) -> None:
    outcome = run(*words)
    assert outcome.code == 2
    assert outcome.error_line.startswith("error: ")
    assert outcome.out == ""


def fail_with(monkeypatch: pytest.MonkeyPatch, problem: BaseException) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise problem

    monkeypatch.setattr("ddcodec.inspection.info.examined", broken)


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (errors.DDSetError("m"), 1),
        (errors.UsageError("m"), 2),
        (errors.CheckpointMismatch("m"), 2),
        (errors.InvalidFile("m"), 3),
        (errors.LimitExceeded("m"), 3),
        (errors.Unsupported("m"), 4),
        (errors.MissingExtra("m", "data"), 4),
        (errors.SourceError("m"), 5),
        (errors.OutputError("m"), 5),
        (FileNotFoundError(2, "No such file or directory", "x.ddset"), 5),
        (OSError(28, "No space left on device"), 5),
        (KeyboardInterrupt(), 130),
    ],
)
def test_every_error_has_its_exit_code(
    run: Run, monkeypatch: pytest.MonkeyPatch, problem: BaseException, code: int
) -> None:
    fail_with(monkeypatch, problem)
    outcome = run("info", "x.ddset")
    assert outcome.code == code
    assert outcome.out == ""
    if code != 130:
        assert outcome.error_line.startswith("error: ")


def test_a_bug_is_one_line_that_says_how_to_see_more(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_with(monkeypatch, ZeroDivisionError("division by zero"))
    outcome = run("info", "x.ddset")
    assert outcome.code == 1
    assert outcome.error_line == (
        "internal error: ZeroDivisionError: division by zero; set DDCODEC_DEBUG=1 for the traceback"
    )


def test_the_debug_variable_shows_the_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, ZeroDivisionError("division by zero"))
    monkeypatch.setenv("DDCODEC_DEBUG", "1")
    outcome = run("info", "x.ddset")
    assert outcome.code == 1
    assert "Traceback (most recent call last)" in outcome.err
    assert "in broken" in outcome.err


IMPORTED = """
import sys
from ddcodec_cli.app import main
code = main(sys.argv[1:])
print(sorted({name.split(".")[0] for name in sys.modules} & {"torch", "PIL", "rich"}))
sys.exit(code)
"""


def imported_by(words: list[object]) -> str:
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["encode", "-h"], ["train", "-h"]])
def test_help_imports_nothing_heavy(words: list[object]) -> None:
    assert imported_by(words) == "[]"


def test_the_import_test_would_notice_torch() -> None:
    code = IMPORTED.replace("import sys", "import sys, torch", 1)
    done = subprocess.run(
        [sys.executable, "-c", code, "--version"], capture_output=True, text=True, check=True
    )
    assert "torch" in done.stdout.splitlines()[-1]


@pytest.mark.parametrize("words", [["--help"], ["--version"]])
def test_a_reader_that_went_away_makes_no_noise(process: Run, words: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = process(*words, stdout=writing)
    os.close(writing)
    assert done.returncode != 0
    assert done.stderr == ""


def test_a_full_disk_under_stdout_is_an_output_error(process: Run) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with full.open("w") as sink:
        done = process("--version", stdout=sink)
    assert done.returncode == 5
    assert done.stderr == "error: stdout: cannot be written: No space left on device\n"


def test_the_module_is_the_command(process: Run) -> None:
    done = process("info", "absent.ddset")
    assert done.returncode == 5
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, "PASSIVE 3000"),
        ({"GOMP_SPINCOUNT": "7"}, "PASSIVE 7"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE None"),
    ],
)
def test_waiting_threads_sleep_soon_unless_the_user_says_otherwise(
    given: dict[str, str], found: str
) -> None:
    code = (
        "import os, sys; from ddcodec_cli.app import main; assert 'torch' not in sys.modules;"
        "main(['--version']); assert 'torch' not in sys.modules;"
        "print(os.environ['OMP_WAIT_POLICY'], os.environ.get('GOMP_SPINCOUNT'))"
    )
    names = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
    environment = {k: v for k, v in os.environ.items() if k not in names} | given
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert run.stdout.splitlines()[-1] == found
