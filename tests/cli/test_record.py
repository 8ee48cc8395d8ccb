"""``train --record``: what was measured goes into the file, and every command says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ddcodec
from ddcodec.format import read_manifest, restate

Run = Callable[..., Any]
SHORT = ("--nets", "2", "--steps", "2", "--device", "cpu")


@pytest.fixture
def mine(tmp_path: Path, digits_file: Path) -> Path:
    path = tmp_path / "mine.ddset"
    path.write_bytes(digits_file.read_bytes())
    return path


@pytest.fixture
def recorded(run: Run, mine: Path) -> tuple[Path, dict[str, Any]]:
    """A file with a table of two networks, and what ``train`` printed of it."""
    outcome = run("train", mine, *SHORT, "--arch", "mlp,convnet3", "--record", "--json")
    assert outcome.code == 0, outcome.err
    return mine, json.loads(outcome.out)


def test_the_whole_table_is_kept_in_the_file(
    run: Run, recorded: tuple[Path, dict[str, Any]]
) -> None:
    path, report = recorded
    facts = json.loads(run("info", path, "--json").out)
    assert facts["measured"]["accuracy_mean"] == pytest.approx(report["accuracy_mean"], abs=1e-4)
    assert facts["measured"]["test_count"] == 397
    assert facts["measured"]["tool"].startswith("ddcodec ")
    assert facts["transfer"] == pytest.approx(report["transfer"], abs=1e-4)
    kept = facts["measured_networks"]
    names = ("network", "norm", "nets", "steps", "optimizer", "lr")
    assert [[e[n] for n in names] for e in kept] == [
        [r[n] for n in names] for r in report["networks"]
    ]
    for entry, row in zip(kept, report["networks"], strict=True):
        assert entry["accuracy_mean"] == pytest.approx(row["accuracy_mean"], abs=1e-4)
        assert entry["accuracy_std"] == pytest.approx(row["accuracy_std"], abs=1e-4)
        assert entry.get("own", False) is row["own"]
        assert "torch" in entry["tool"]
    assert run("verify", path).code == 0
    assert ddcodec.load(path).manifest.measured == facts["measured"]
    words = " ".join(run("info", path).out.split())
    assert f"transfer {100 * facts['transfer']:.1f} % over 2 other networks" in words
    columns = run("info", path, path).out.splitlines()
    assert columns[0].split()[-1] == "transfer"


def test_a_record_without_a_table_keeps_that_of_the_same_test(
    run: Run, recorded: tuple[Path, dict[str, Any]]
) -> None:
    path, _ = recorded
    assert run("train", path, *SHORT, "--arch", "convnet3", "--record").code == 0
    before = read_manifest(path)[0]
    found = [entry["network"] for entry in before.measured_networks]
    assert found == ["convnet3", "convnet2-in", "convnet2-in"]  # in place of the first table
    assert (
        run("train", path, "--nets", "1", "--steps", "3", "--device", "cpu", "--record").code == 0
    )
    after = read_manifest(path)[0]
    assert after.measured_networks == before.measured_networks
    assert after.measured is not None
    assert after.measured["nets"] == 1
    restate(path, measured=after.measured | {"test_count": 9})
    outcome = run("train", path, *SHORT, "--record")
    assert outcome.code == 0
    assert "tested on other images, is left out" in outcome.err
    assert read_manifest(path)[0].measured_networks == ()


@pytest.fixture
def told(mine: Path) -> Path:
    """A file that says what networks reached, without anyone's work."""
    tested = {"nets": 2, "steps": 5, "accuracy_std": 0.0}
    own = tested | {"accuracy_mean": 0.9, "test": "digits", "test_count": 397}
    how = tested | {"norm": "none", "optimizer": "adam", "lr": 0.001}
    others = (
        how | {"network": "mlp", "accuracy_mean": 0.5},
        how | {"network": "convnet3", "accuracy_mean": 0.25},
        how | {"network": "convnet2-in", "accuracy_mean": 0.875, "own": True},
    )
    restate(mine, measured=own, measured_networks=others)
    return mine


def test_compare_shows_what_files_record(run: Run, told: Path, digits_file: Path) -> None:
    path = told
    words = ("compare", path, digits_file, *SHORT)
    shown = run(*words, "-o", "both.png")
    assert shown.code == 0, shown.err
    _, _, titles, _, first, second, last = shown.out.splitlines()
    assert titles.split()[3:5] == ["accuracy", "transfer"]
    assert " 37.5 % " in first
    assert " - " in second
    assert last == "transfer: mean of networks other than the file's own: mlp, convnet3"
    # Another test than the recorded one: the record is none for this table.
    measured = read_manifest(path)[0].measured
    assert measured is not None
    restate(path, measured=measured | {"test": "other digits"})
    rows = json.loads(run(*words, "--json").out)["files"]
    assert [row["transfer"] for row in rows] == [None, None]
    assert "transfer" not in run(*words).out


def test_compare_measures_the_same_networks_on_each_file(
    run: Run, told: Path, digits_file: Path
) -> None:
    path = told
    outcome = run("compare", path, digits_file, *SHORT, "--arch", "mlp", "--json")
    assert outcome.code == 0, outcome.err
    rows = json.loads(outcome.out)["files"]
    alone = json.loads(run("train", digits_file, *SHORT, "--arch", "mlp", "--json").out)
    assert [row["transfer_networks"] for row in rows] == [["mlp"], ["mlp"]]
    assert [row["transfer"] for row in rows] == [alone["transfer"]] * 2


def test_tables_over_other_networks_are_not_silently_compared(run: Run, told: Path) -> None:
    path = told
    other = path.with_name("other.ddset")
    other.write_bytes(path.read_bytes())
    few = read_manifest(path)[0].measured_networks[:1]
    restate(other, measured_networks=few)
    last = run("compare", path, other, *SHORT).out.splitlines()[-1]
    assert last.startswith("warning: transfer is not over the same networks for every file")


def test_an_unknown_network_is_refused_before_the_work(run: Run, mine: Path) -> None:
    outcome = run("compare", mine, *SHORT, "--arch", "vgg")
    assert (outcome.code, outcome.out) == (2, "")
    assert "unknown architecture 'vgg'" in outcome.error_line
