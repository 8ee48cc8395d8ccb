"""The published files: each verifies, and the table beside them says what is in them."""

from __future__ import annotations

import importlib
import json
import math
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

import pytest
from PIL import Image

from ddcodec import info, load, verify
from ddcodec.errors import DDSetError, SourceError

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "examples" / "results"
FILES = sorted(RESULTS.glob("*.ddset"))
LARGE = 500_000  # bytes, whose labels take seconds
SHOWN = [
    pytest.param(path, marks=[pytest.mark.slow] if path.stat().st_size > LARGE else [])
    for path in FILES
]
TABLE = (RESULTS / "README.md").read_text(encoding="utf-8")
sys.path.append(str(ROOT / "docs"))  # the scripts there import each other
tables = importlib.import_module("result_tables")
PAGES = {name: (ROOT / name).read_text(encoding="utf-8") for name in tables.PAGES}
PAGE = (RESULTS.parents[1] / "docs" / "results.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", SHOWN, ids=lambda path: path.stem)
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
    if not facts["measured_networks"]:  # its table has a page of its own
        assert any(cells[1] in line and cells[3] in line for line in PAGE.splitlines())
    # Nobody types it: everywhere it comes from the file.
    for name, text in PAGES.items():
        assert cells[3] not in tables.MARKED.sub("", text), name
    x, y = load(path)[0]
    assert x.shape[0] == facts["image"]["channels"]
    assert float(y.sum()) == pytest.approx(1, abs=1e-5)


def test_the_pages_say_what_the_files_say() -> None:
    for name, text in PAGES.items():
        assert tables.filled(text) == text, f"{name} is behind: python docs/result_tables.py"


def test_a_figure_that_someone_typed_is_found() -> None:
    text = PAGES["README.md"]
    marks = list(tables.MARKED.finditer(text))
    assert len(marks) >= 5
    for mark in marks:
        digit = re.search(r"\d(?=[^|]*$)", mark[2]) or re.search(r"\d", mark[2])
        assert digit is not None, mark[1]
        at = mark.start(2) + digit.start()
        typed = text[:at] + str((int(text[at]) + 1) % 10) + text[at + 1 :]
        assert tables.filled(typed) == text, mark[1]


def test_every_table_has_a_place_and_marks_in_sentences_are_no_blocks() -> None:
    whole = "\n".join(PAGES.values())
    assert set(tables.TABLES) <= {mark[1] for mark in tables.MARKED.finditer(whole)}
    assert whole.count("<!-- results:") == whole.count("<!-- /results -->")
    # A line that begins with a comment is HTML to the end, and would show what follows as it is.
    for mark in re.findall(r"^<!-- (?:results:\S+|/results) -->(.*)$", whole, re.MULTILINE):
        assert mark == ""


def test_what_a_mark_does_not_know_is_an_error() -> None:
    for name in ("tables", "digits-0.9:best", "digits-0.5:mean"):
        with pytest.raises((KeyError, DDSetError)):
            tables.filled(f"<!-- results:{name} --><!-- /results -->")


@pytest.fixture
def remeasure() -> Any:
    return importlib.import_module("remeasure")  # needs torch


def test_two_standard_errors_are_those_of_both(remeasure: Any) -> None:
    def entry(mean: float, std: float, nets: int) -> dict[str, float]:
        return {"accuracy_mean": mean, "accuracy_std": std, "nets": nets}

    old = entry(0.5, 0.02, 5)  # a standard error of 0.01
    assert not remeasure.changed(old, entry(0.5, 0.02, 5))
    assert not remeasure.changed(old, entry(0.528, 0.02, 5))
    assert remeasure.changed(old, entry(0.529, 0.02, 5))
    assert not remeasure.changed(old, entry(0.529, 0.04, 5))
    assert remeasure.changed(entry(0.5, 0, 1), entry(0.51, 0, 1))
    assert not remeasure.changed(entry(0.5, 0, 1), entry(0.50004, 0, 1))  # as it was rounded


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of one published file, its page, and what was measured: nothing yet."""
    text = (RESULTS / "digits-0.9.ddset").read_bytes()
    (tmp_path / "digits-0.9.ddset").write_bytes(text)
    (tmp_path / "measured.json").write_text("{}", encoding="utf-8")
    (tmp_path / "made.json").write_text('{"files": {}, "others": {}}', encoding="utf-8")
    tables.stored.cache_clear()
    page = (f"<!-- results:{name} -->?<!-- /results -->" for name in ("again", "digits-0.9:mean"))
    (tmp_path / "page.md").write_text("\n\nis ".join(page), encoding="utf-8")
    monkeypatch.setattr(tables, "RESULTS", tmp_path)
    monkeypatch.setattr(tables, "ROOT", tmp_path)
    monkeypatch.setattr(tables, "PAGES", ("page.md",))
    yield tmp_path
    monkeypatch.undo()
    tables.stored.cache_clear()
    tables.facts.cache_clear()


def test_a_file_is_measured_again_and_the_page_written(
    copy: Path, remeasure: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the protocol of ``train``, here in few steps: what changes by that is said."""
    path = copy / "digits-0.9.ddset"
    real = remeasure.measure

    def few(file: str, place: Path, ds: Any, test: Any, chosen: Any, *more: Any) -> Any:
        return real(file, place, ds, test, replace(chosen, steps=3), *more)

    monkeypatch.setattr(remeasure, "measure", few)
    words = ["--only", "digits-0.9", "--nets", "2", "--device", "cpu"]
    assert remeasure.main(words) == 0
    found = json.loads((copy / "measured.json").read_text())["digits-0.9"]["again"]
    assert (found["nets"], found["steps"]) == (2, 3)
    said = capsys.readouterr().out
    assert "changed: digits-0.9.ddset: 95.0 ± 0.8 %, now" in said
    assert "1 of 1 files measured, 1 figures changed" in said
    page = (copy / "page.md").read_text(encoding="utf-8")
    assert "| digits-0.9 | 95.0 ± 0.8 |" in page
    assert ">95.0<" in page
    assert path.read_bytes() == (RESULTS / path.name).read_bytes()
    assert not list(copy.glob("*.unfinished-*"))
    assert remeasure.main([*words, "--record", "--arch", "mlp"]) == 0
    assert info(path)["measured"]["accuracy_mean"] == found["accuracy_mean"]
    assert ">95.0<" not in (copy / "page.md").read_text(encoding="utf-8")
    capsys.readouterr()

    def another(*given: Any) -> Any:
        report, finished = few(*given)
        report["networks"][0] |= {"accuracy_mean": 0.99, "accuracy_std": 0.0}
        return report, finished

    monkeypatch.setattr(remeasure, "measure", another)
    assert remeasure.main([*words, "--arch", "mlp"]) == 0
    said = capsys.readouterr().out
    assert "changed: digits-0.9.ddset, mlp: " in said
    assert said.count("changed: ") == 1


def test_a_file_that_cannot_be_measured_does_not_stop_the_others(
    copy: Path, remeasure: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise SourceError("no data set here")

    monkeypatch.setattr(remeasure, "measure", refuse)
    assert remeasure.main(["--device", "cpu"]) == 1
    said = capsys.readouterr()
    assert "digits-0.9.ddset: not measured: no data set here" in said.err
    assert "0 of 1 files measured" in said.out
    assert remeasure.main(["--only", "cifar"]) == 2

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(remeasure, "measure", stop)
    assert remeasure.main(["--device", "cpu"]) == 130


def test_the_table_names_no_other_file() -> None:
    named = set(re.findall(r"\]\(([^)]*\.ddset)\)", TABLE))
    assert named == {path.name for path in FILES}
    assert len(FILES) >= 5


def test_the_curve_shows_what_the_files_and_the_baselines_say() -> None:
    module = importlib.import_module("curve")
    for curve in module.CURVES:
        with Image.open(curve.picture) as picture:
            shown = json.loads(picture.text["points"])
        assert shown == module.points(curve), "the picture is behind: python docs/curve.py"
        posters = (*curve.posters, *curve.long)
        assert {module.facts(stem)["codec"] for stem in posters} == {"podd"}
        assert all("live" in module.facts(stem)["labels"] for stem in curve.live)
        least, most = map(int, re.findall(r"(\d+) to (\d+) minutes", curve.below)[0])
        for stem in (*curve.posters, *curve.live):
            minutes, seconds = re.findall(
                r"(\d+) min(?: (\d+) s)?", tables.made(stem)["encoded_in"]
            )[0]
            assert least <= int(minutes) + int(seconds or 0) / 60 <= most


def accuracies(printed: str) -> dict[str, float]:
    """Return the rows of a printed score: means in percent, by name."""
    rows = re.findall(r"^((?:real|syn|rdm)-\w+) .*? (\d+\.\d) ±", printed, re.MULTILINE)
    return {name: float(mean) for name, mean in rows}


def normalised(alpha: float) -> float:
    """Return n(alpha) of DD-Ranking's README: -1 to 0, 1 to 1."""
    return (math.exp(alpha) - math.exp(-1)) / (math.e - math.exp(-1))


def test_the_page_of_scores_says_what_the_package_and_the_command_printed() -> None:
    package = json.loads((RESULTS / "digits-0.9.ddranking.json").read_text())
    printed = (RESULTS / "digits-0.9.score.txt").read_text(encoding="utf-8")
    ours = accuracies(printed)
    lost = re.search(r"hard label recovery +\+(\d+\.\d)", printed)
    assert lost
    hard, random = ours["syn-hard"], ours["rdm-any"]
    returned = package["returned"]
    recovery, gain = (
        returned[f"{name}_mean"] for name in ("hard_label_recovery", "improvement_over_random")
    )

    def lrs(gain: float, lost: float) -> str:
        return f"{normalised(0.5 * gain / 100 - 0.5 * lost / 100):.3f}"

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


@pytest.mark.parametrize("printed", sorted(RESULTS.glob("*.score.txt")), ids=lambda each: each.name)
def test_a_printed_score_is_on_the_page_and_follows_from_its_accuracies(printed: Path) -> None:
    text = printed.read_text(encoding="utf-8")
    page = (RESULTS.parents[1] / "docs" / "score.md").read_text(encoding="utf-8")
    assert f'--8<-- "examples/results/{printed.name}"' in page
    found = accuracies(text)
    lost, gain = found["real-hard"] - found["syn-hard"], found["syn-any"] - found["rdm-any"]
    robust = (found["syn-aug"] - found["rdm-aug"]) + (found["syn-naug"] - found["rdm-naug"])
    for name, alpha in (("label", (gain - lost) / 200), ("augmentation", robust / 200)):
        shown = re.search(rf"^{name}-robust score +(0\.\d+) ±", text, re.MULTILINE)
        assert shown
        assert float(shown[1]) == pytest.approx(
            normalised(alpha), abs=0.002
        )  # a mean over networks


def test_the_page_says_what_a_network_in_the_bytes_of_a_file_reached() -> None:
    """Of digits ``train --baselines --json``, of the others what the benchmark printed."""
    report = json.loads((RESULTS / "digits-0.9.baselines.json").read_text())
    digits = report["baselines"]["quantised_network_same_bytes"]
    found = {"digits-0.9.ddset": ([100 * score for score in digits["per_net"]], digits["bytes"])}
    printed = (RESULTS / "quantised.txt").read_text(encoding="utf-8")
    line = re.compile(r"^(\S+\.ddset): .*: (\d+\.\d) %, ([\d,]+) bytes", re.MULTILINE)
    for name, score, size in line.findall(printed):
        scores, largest = found.get(name, ([], 0))
        found[name] = [*scores, float(score)], max(largest, int(size.replace(",", "")))
    assert len(found) >= 3
    for name, (scores, size) in found.items():
        reached = f"{fmean(scores):.1f}" + (f" ± {pstdev(scores):.1f}" if len(scores) > 1 else "")
        measured = info(RESULTS / name)["measured"]
        mean, std = 100 * measured["accuracy_mean"], 100 * measured["accuracy_std"]
        row = f"| `{name}`, {info(RESULTS / name)['bytes']['total']:,} | {mean:.1f} ± {std:.1f} |"
        assert f"{row} {reached} | {size:,} | {len(scores)} |" in PAGE
    for name in ("herding", "random_images"):
        entry = report["baselines"][f"{name}_same_pixels"]
        mean, std = 100 * entry["accuracy_mean"], 100 * entry["accuracy_std"]
        assert f"teach {mean:.1f} ± {std:.1f} %" in PAGE
