"""Which steps are worth a report."""

from __future__ import annotations

import pytest

from ddcodec.runtime import progress
from ddcodec.runtime.progress import SILENT, Reports


def test_the_first_steps_every_tenth_and_the_last_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SECONDS", 1e9)
    reports = Reports(24)
    assert [step for step in range(1, 25) if reports.due(step)] == [1, 2, 3, 10, 20, 24]


def test_slow_steps_are_told_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SECONDS", 0.0)
    reports = Reports(24)
    assert all(reports.due(step) for step in range(1, 25))


def test_a_reporter_that_nobody_gave_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    SILENT.stage("x", 3)
    SILENT.step(1)
    SILENT.result("x")
    SILENT.note("x")
    assert capsys.readouterr() == ("", "")
