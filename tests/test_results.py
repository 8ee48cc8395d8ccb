"""The published files: each verifies, opens, and holds the accuracy that was measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from ddcodec import info, load, verify

FILES = sorted((Path(__file__).parents[1] / "examples" / "results").glob("*.ddset"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_published_file_holds_its_accuracy(path: Path) -> None:
    assert verify(path) == []
    facts = info(path)
    assert facts["bytes"]["total"] == path.stat().st_size
    measured = facts["measured"]
    assert measured["nets"] >= 4
    assert 1 / len(load(path).classes) < measured["accuracy_mean"] <= 1
    x, y = load(path)[0]
    assert x.shape[0] == facts["image"]["channels"]
    assert float(y.sum()) == pytest.approx(1, abs=1e-5)


def test_there_are_published_files() -> None:
    assert len(FILES) >= 5
