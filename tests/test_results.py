"""The published files: each verifies, and the table beside them says what is in them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ddcodec import info, load, verify

RESULTS = Path(__file__).parents[1] / "examples" / "results"
FILES = sorted(RESULTS.glob("*.ddset"))
TABLE = (RESULTS / "README.md").read_text(encoding="utf-8")
PAGE = (RESULTS.parents[1] / "docs" / "results.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_published_file_is_what_the_table_says(path: Path) -> None:
    assert verify(path) == []
    facts = info(path)
    assert facts["bytes"]["total"] == path.stat().st_size
    rows = [line for line in TABLE.splitlines() if f"[{path.name}]({path.name})" in line]
    assert len(rows) == 1, f"one row of the table for {path.name}"
    cells = [cell.strip() for cell in rows[0].strip("|").split("|")]
    assert cells[1] == f"{facts['bytes']['total']:,}"
    assert cells[2] == f"{facts['bits_per_class']:,.0f}"
    measured = facts["measured"]
    assert measured["nets"] >= 4
    mean, std = 100 * measured["accuracy_mean"], 100 * measured["accuracy_std"]
    assert cells[3] == f"{mean:.1f} ± {std:.1f}"
    assert any(cells[1] in line and cells[3] in line for line in PAGE.splitlines())
    x, y = load(path)[0]
    assert x.shape[0] == facts["image"]["channels"]
    assert float(y.sum()) == pytest.approx(1, abs=1e-5)


def test_the_table_names_no_other_file() -> None:
    named = set(re.findall(r"\]\(([^)]*\.ddset)\)", TABLE))
    assert named == {path.name for path in FILES}
    assert len(FILES) >= 5
