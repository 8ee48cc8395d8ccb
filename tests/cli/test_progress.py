"""What people see of long work: lines in a log, a bar on a terminal, an estimate of the rest."""

from __future__ import annotations

import io
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ddcodec_cli import progress, reporters
from ddcodec_cli.reporters import LogReporter, Stage, Told

Run = Callable[..., Any]


class Clock:
    """Time as a test says."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def told(capsys: pytest.CaptureFixture[str], steps: int, each: float, **words: str) -> list[str]:
    """Return the lines of a stage of which the first ten steps are done."""
    clock = Clock()
    reporter = Told(clock=clock, **words)
    reporter.stage("unrolling", steps)
    for done in range(1, 11):
        clock.now += each
        reporter.step(done, 0.5)
    out, err = capsys.readouterr()
    assert out == ""
    return err.splitlines()


def test_work_over_a_minute_is_estimated_once_from_measured_steps(
    capsys: pytest.CaptureFixture[str],
) -> None:
    (line,) = told(capsys, 400, 2.0, advice="--steps is shorter")
    assert line.startswith("unrolling: 400 steps of about 2 s, some 13 min 14 s to go; at most ")
    assert line.endswith(" GiB of memory so far; --steps is shorter")


def test_work_under_a_minute_is_not_estimated(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, 20, 2.0) == []


def test_steps_of_milliseconds_are_not_taken_for_a_measurement(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert told(capsys, 10**6, 0.01) == []


def test_a_resumed_stage_is_not_taken_for_a_fast_one() -> None:
    clock = Clock()
    stage = Stage("unrolling", 400, clock)
    clock.now += 5
    stage.step(301, 0.5)
    assert stage.step_seconds is None
    assert stage.line() == "unrolling: step 301 of 400, loss 0.5000, 5.0 s so far"
    clock.now += 2
    stage.step(302, 0.25)
    assert stage.line() == "unrolling: step 302 of 400, 2.0 s each, loss 0.2500, 3 min 16 s left"
    clock.now += 60
    assert stage.line().endswith("2 min 16 s left")


def test_a_stage_without_steps_says_how_long_it_takes() -> None:
    clock = Clock()
    stage = Stage("reading the images", 0, clock)
    clock.now += 42
    assert stage.line() == "reading the images: 42.0 s"


def test_a_log_has_lines_while_one_step_takes_long_and_a_closing_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporters, "LINE_SECONDS", 0.01)
    written: list[str] = []
    enough = threading.Event()

    def message(text: str) -> None:
        written.append(text)
        if len(written) == 3:
            enough.set()

    monkeypatch.setattr(reporters, "message", message)
    with progress.progress() as reporter:
        reporter.stage("one slow step", 7)
        reporter.step(1)
        assert enough.wait(60)
    assert all(line.startswith("one slow step: step 1 of 7, ") for line in written[:-1])
    assert written[-1].startswith("done in ")
    count = len(written)
    time.sleep(0.05)
    assert len(written) == count, "the thread still writes"


def test_a_log_that_cannot_be_written_does_not_end_the_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried = threading.Event()

    def full(text: str) -> None:
        tried.set()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(reporters, "message", full)
    log = LogReporter(interval=0.001)
    log.start()
    log.stage("x", 3)
    assert tried.wait(60)
    log.stop(True)


def test_short_work_in_a_log_is_silent_but_for_notes(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.progress(opening="x.checkpoint: this run goes on from there") as reporter:
        reporter.stage("kernel", 3)
        assert capsys.readouterr() == ("", "")
        reporter.step(1, 0.5)
        reporter.note("a class has moved")
        reporter.result("network 1 of 2: 50.0 %")
    assert capsys.readouterr().err.splitlines() == [
        "x.checkpoint: this run goes on from there",
        "a class has moved",
        "network 1 of 2: 50.0 %",
    ]


def test_quiet_leaves_notes_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.progress(quiet=True, opening="x") as reporter:
        reporter.stage("kernel", 3)
        reporter.step(1, 0.5)
        reporter.result("network 1 of 2: 50.0 %")
        reporter.note("a class has moved")
    assert capsys.readouterr() == ("", "a class has moved\n")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_is_shown_stage_loss_and_count(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    with progress.progress() as reporter:
        reporter.stage("reading the images", 0)
        reporter.stage("kernel warm start", 3)
        reporter.step(2, 0.5)
        reporter.note("score [1] before, 2 after")
        reporter.stage("unrolling", 7)
        reporter.step(1, 0.25)
    shown = screen.getvalue()
    assert "unrolling" in shown
    assert "1/7" in shown
    assert "loss 0.2500" in shown
    assert "score [1] before, 2 after" in shown


LONG = [
    *(("encode",), ("train",), ("decode",), ("sweep",), ("preview",), ("demo",), ("verify",)),
    *(("observer", "train"), ("prior", "train")),
]


@pytest.mark.parametrize("command", LONG, ids=" ".join)
def test_every_long_command_can_be_quiet(run: Run, command: tuple[str, ...]) -> None:
    assert "-q, --quiet" in run(*command, "--help").out


def test_reading_is_named_while_it_lasts(
    run: Run, make_source: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every phase of an encode is one that a log could name."""
    make_source()
    stages: list[str] = []
    monkeypatch.setattr(LogReporter, "stage", lambda _, name, steps: stages.append(name))
    words = ("--ipc", "1", "--profile", "quick", "--steps", "2", "--device", "cpu")
    assert run("encode", "shades.npz", *words).code == 0
    assert stages[0] == "reading the images"
    assert stages[-1] == "packing"
    assert {"preprocessing", "unrolling"} <= set(stages)


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ((), "interrupted; nothing was saved yet, run the same command again"),
        (("the file is complete",), "interrupted; the file is complete"),
    ],
)
def test_an_interruption_says_what_the_work_knows_of_it(
    known: tuple[str, ...], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work = progress.resumable(tmp_path / "x.ddset", resume=False, quiet=True)
    with pytest.raises(KeyboardInterrupt), work:
        raise KeyboardInterrupt(*known)
    assert capsys.readouterr().err == f"{said}\n"
