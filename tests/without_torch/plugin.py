"""Skips what needs torch where there is none; everything else runs.

A test that imports torch, however deep below it, ends at that import. A test that fails after a
process of its own has asked for torch counts as skipped too. So no list says which tests these are.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

LEAST = 1000  # tests that run; fewer mean that torch has crept in below what needs none
HERE = str(Path(__file__).parent)
ASKED = Path(tempfile.mkdtemp(prefix="ddcodec-tests-")) / "asked"


def pytest_configure() -> None:
    sys.path.insert(0, HERE)
    os.environ["PYTHONPATH"] = os.pathsep.join([HERE, *filter(None, [os.getenv("PYTHONPATH")])])
    os.environ["ASKED_FOR_TORCH"] = str(ASKED)


def pytest_unconfigure() -> None:
    ASKED.unlink(missing_ok=True)
    ASKED.parent.rmdir()


def pytest_runtest_setup() -> None:
    ASKED.unlink(missing_ok=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(session.config, "workerinput"):
        return
    passed = len(reporter.stats.get("passed", []))
    if passed < LEAST:
        reporter.write_line(f"{passed} tests ran without torch, {LEAST} are expected")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and ASKED.exists():
        report.outcome = "skipped"
        report.longrepr = (str(item.path), 0, "Skipped: its process needs torch")
    return report
