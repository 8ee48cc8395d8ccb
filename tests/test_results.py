"""The published files: each verifies, and the table beside them says what is in them."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from statistics import fmean

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


def test_the_page_of_scores_says_what_the_package_and_the_command_printed() -> None:
    package = json.loads((RESULTS / "digits-0.9.ddranking.json").read_text())
    printed = (RESULTS / "digits-0.9.score.txt").read_text(encoding="utf-8")
    ours = dict(re.findall(r"^((?:syn|rdm)-\w+) .*? (\d+\.\d) ±", printed, re.MULTILINE))
    lost = re.search(r"hard label recovery +\+(\d+\.\d)", printed)
    assert lost
    hard, random = float(ours["syn-hard"]), float(ours["rdm-any"])
    returned = package["returned"]
    recovery, gain = (
        returned[f"{name}_mean"] for name in ("hard_label_recovery", "improvement_over_random")
    )

    def lrs(gain: float, lost: float) -> str:
        alpha = 0.5 * gain / 100 - 0.5 * lost / 100
        return f"{(math.exp(alpha) - math.exp(-1)) / (math.e - math.exp(-1)):.3f}"

    rows = {
        "syn-hard": (f"{fmean(package['syn_hard']):.1f}", f"{hard}"),
        "random images, classes": (f"{fmean(package['rdm_hard']):.1f}", f"{random}"),
        "HLR": (f"{recovery:.1f}", lost[1]),
        "IOR, hard labels": (f"{gain:.1f}", f"{hard - random:.1f}"),
        "LRS, as a share of 1": (lrs(gain, recovery), lrs(hard - random, float(lost[1]))),
        "LRS as returned": (f"{returned['label_robust_score_mean']:.2f}", ""),
    }
    page = (RESULTS.parents[1] / "docs" / "score.md").read_text(encoding="utf-8")
    for name, (theirs, own) in rows.items():
        assert f"| {name} | {theirs} | {own} |".replace("  |", " |") in page
