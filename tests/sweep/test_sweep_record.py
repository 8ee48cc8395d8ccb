"""The record of a sweep: kept, found again, refused where it is another's, and its three texts."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from ddcodec import UsageError
from ddcodec.errors import CheckpointMismatch
from ddcodec.sweep.curves import curves
from ddcodec.sweep.grid import Place, quality_title
from ddcodec.sweep.record import SweepRecord, to_csv, to_markdown

IDENTITY = {
    "source": "digits",
    "test": "digits",
    "test_images": 397,
    "nets": 2,
    "encode": {"steps": 40},
}


def point(ipc: float, quality: str, seed: int = 0, size: int = 1000) -> dict[str, Any]:
    name = f"ipc{ipc:g}-{quality}-seed{seed}.ddset"
    scores = [ipc, ipc - 0.1 * seed]
    return {
        "ipc": ipc,
        "quality": quality,
        "preprocessing": "auto",
        "seed": seed,
        "file": name,
        "content_digest": "ab",
        "bytes": size,
        "bits_per_class": 0.8 * size,
        "accuracy_mean": sum(scores) / 2,
        "accuracy_std": 0.0,
        "per_net": scores,
        "train_steps": 100,
        "commands": [f"ddcodec encode 'a|b' -o {name}", f"ddcodec train {name}"],
    }


def baseline(name: str, ipc: float, quality: str, size: int, score: float | None) -> dict[str, Any]:
    return {
        "name": name,
        "ipc": ipc,
        "quality": quality,
        "preprocessing": "auto",
        "budget_bytes": size,
        "bytes": size,
        "bits_per_class": 0.8 * size,
        "accuracy_mean": score,
        "accuracy_std": None if score is None else 0.01,
        "per_net": [] if score is None else [score],
    }


@pytest.fixture
def record(tmp_path: Path) -> SweepRecord:
    record = SweepRecord(tmp_path, IDENTITY)
    record.points = [
        point(0.9, "bits=8", size=2000),
        point(0.4, "bits=8", size=1500),
        point(0.4, "bits=10", size=1600),
        point(0.9, "bits=8", seed=1, size=2100),
    ]
    record.baselines = [
        baseline("random_images_jpeg", 0.4, "bits=8", 1490, 0.6),
        baseline("k_means", 0.9, "bits=8", 1980, 0.7),
        baseline("k_means", 0.4, "bits=8", 1400, 0.5),
        baseline("k_means", 0.4, "bits=10", 1400, 0.5),
        baseline("random_images_avif", 0.4, "bits=8", 1500, None),
    ]
    record.full_data = {**baseline("", 0, "", 90000, 0.99)}
    for name in ("name", "ipc", "quality", "preprocessing", "budget_bytes"):
        del record.full_data[name]
    return record


def test_what_is_saved_is_found_again(record: SweepRecord) -> None:
    record.save()
    again = SweepRecord.open(record.folder, IDENTITY)
    assert again.as_json() == record.as_json()
    assert again.point(Place(0.4, "bits=8"), 0) == point(0.4, "bits=8", size=1500)
    assert again.point(Place(0.4, "bits=8"), 1) is None
    assert again.baseline("k_means", Place(0.9, "bits=8")) == record.baselines[1]
    assert again.baseline("k_means", Place(0.9, "bits=8", "none")) is None
    assert sorted(path.name for path in record.folder.iterdir()) == [
        "sweep.csv",
        "sweep.json",
        "sweep.md",
    ]


def test_an_empty_folder_is_a_new_record(tmp_path: Path) -> None:
    assert SweepRecord.open(tmp_path, IDENTITY).points == []
    assert list(tmp_path.iterdir()) == []


def test_other_settings_are_refused_by_name(record: SweepRecord) -> None:
    record.save()
    with pytest.raises(CheckpointMismatch, match=r"nets was 2, now 3; choose another `out`"):
        SweepRecord.open(record.folder, IDENTITY | {"nets": 3})
    with pytest.raises(CheckpointMismatch, match="size was not set, now 8"):
        SweepRecord.open(record.folder, IDENTITY | {"size": 8})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"sweep": 2}',
        '{"sweep": 1, "identity": {}, "points": [], "baselines": [{}]}',
        '{"sweep": 1, "identity": {}, "points": [{"ipc": 1}], "baselines": []}',
        '{"sweep": 1, "identity": {}, "points": {}, "baselines": []}',
        '{"sweep": 1, "identity": [], "points": [], "baselines": []}',
        '{"sweep": 1, "identity": {}, "points": [], "baselines": [], "full_data": {}}',
        "[" * 100_000,
        "\xff",
    ],
)
def test_what_is_no_record_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "sweep.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match="not the record of a sweep") as problem:
        SweepRecord.open(tmp_path, {})
    assert "\n" not in str(problem.value)


@pytest.mark.parametrize("budget", [{"ipc": None}, {"ipc": 1, "total_bytes": 1000}])
def test_a_point_has_one_budget(record: SweepRecord, budget: dict[str, Any]) -> None:
    record.points = [point(1, "auto")]
    record.save()
    assert SweepRecord.open(record.folder, IDENTITY).points == record.points
    record.points[0] |= budget
    (record.folder / "sweep.json").write_text(json.dumps(record.as_json() | {"begun": {}}))
    with pytest.raises(UsageError, match="not the record of a sweep"):
        SweepRecord.open(record.folder, IDENTITY)


def test_a_quality_is_a_curve_and_seeds_are_one_spot(record: SweepRecord) -> None:
    found = {curve.name: curve for curve in curves(record)}
    assert list(found) == [
        "distilled, 8 bits",
        "distilled, 10 bits",
        "random images, JPEG",
        "k-means centroids, 8-bit pixels",
    ]
    small, large = found["distilled, 8 bits"].spots
    assert (small.bits_per_class, small.mean, small.std) == (1200.0, 0.4, 0.0)
    assert large.bits_per_class == pytest.approx(0.8 * 2050)
    assert large.mean == pytest.approx((0.9 * 3 + 0.8) / 4)
    assert large.std == pytest.approx(0.1 * (3 / 16) ** 0.5)
    # Two budgets that hold the same centroids are one place.
    assert len(found["k-means centroids, 8-bit pixels"].spots) == 2


def test_the_qualities_of_a_single_budget_make_one_curve(tmp_path: Path) -> None:
    record = SweepRecord(tmp_path, IDENTITY)
    record.points = [point(0.9, "bits=8", size=2000), point(0.9, "small", size=1500)]
    (curve,) = curves(record)
    assert curve.name == "distilled, 0.9 IPC"
    assert [spot.bits_per_class for spot in curve.spots] == [1200.0, 1600.0]
    record.points = record.points[:1]
    assert [curve.name for curve in curves(record)] == ["distilled"]


def test_each_preprocessing_is_a_curve_of_its_own(tmp_path: Path) -> None:
    record = SweepRecord(tmp_path, IDENTITY)
    record.points = [
        point(ipc, "bits=4", size=int(1000 * ipc)) | {"preprocessing": kind}
        for kind in ("standardise", "conv_whiten")
        for ipc in (0.9, 0.4)
    ]
    found = curves(record)
    assert [c.name for c in found] == ["distilled, conv_whiten", "distilled, standardise"]
    assert all(len(curve.spots) == 2 for curve in found)


def test_budgets_in_bytes_make_one_curve_with_those_in_images(tmp_path: Path) -> None:
    record = SweepRecord(tmp_path, IDENTITY)
    in_bytes = point(0.7, "auto", size=900) | {"ipc": None, "total_bytes": 950}
    record.points = [in_bytes, point(0.4, "auto", size=700)]
    (curve,) = curves(record)
    assert [spot.bits_per_class for spot in curve.spots] == [560, 720]
    assert "| 950 bytes | auto |" in to_markdown(record)
    rows = list(csv.DictReader(io.StringIO(to_csv(record))))
    assert [(row["ipc"], row["total_bytes"]) for row in rows] == [("", "950"), ("0.4", "")]


def test_csv_has_a_row_for_every_entry(record: SweepRecord) -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(record))))
    assert [row["kind"] for row in rows] == ["distilled"] * 4 + ["baseline"] * 5 + ["full"]
    assert rows[1]["file"] == "ipc0.4-bits=8-seed0.ddset"
    assert float(rows[1]["bits_per_class"]) == 1200.0
    (missing,) = (row for row in rows if row["series"] == "random_images_avif")
    assert (missing["accuracy_mean"], missing["nets"]) == ("", "")


def test_markdown_has_every_result_and_command(record: SweepRecord) -> None:
    record.notes = ["AVIF, which this Pillow cannot write"]
    text = to_markdown(record)
    assert (
        "| random images, AVIF | 0.4 IPC | 8 bits | auto |  | 1,500 | 1,200.0 | does not fit |"
        in text
    )
    assert "| all training images |  |  |  |  | 90,000 | 72,000.0 | 99.0 ± 1.0 |" in text
    assert "Left out: AVIF, which this Pillow cannot write." in text
    # A bar in a path must not end the cell.
    assert "`ddcodec encode 'a\\|b' -o ipc0.4-bits=8-seed0.ddset`" in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert all(line.replace("\\|", "").count("|") in (3, 9) for line in tables)


def test_a_network_in_a_file_has_its_line_and_its_cell(record: SweepRecord) -> None:
    record.points[0]["network_in_file"] = 0.824
    record.points[1]["network_in_file"] = None  # of the others an earlier version said nothing
    assert record.points_with_network() == [record.points[0]]
    (line,) = (line for line in to_markdown(record).splitlines() if "no training" in line)
    assert line == (
        "ipc0.9-bits=8-seed0.ddset, no training: the network in the file, which labels views, "
        "has 82.4 % by itself."
    )
    cells = [row["network_in_file"] for row in csv.DictReader(io.StringIO(to_csv(record)))]
    assert sorted(cells) == [""] * 9 + ["0.824"]


def test_json_is_plain_and_finite(record: SweepRecord) -> None:
    record.save()
    found = json.loads((record.folder / "sweep.json").read_text())
    assert [entry["ipc"] for entry in found["points"]] == [0.4, 0.4, 0.9, 0.9]
    assert found["identity"] == IDENTITY


@pytest.mark.parametrize(
    ("quality", "title"), [("bits=4", "4 bits"), ("small", "small"), ("lossless", "lossless")]
)
def test_qualities_are_named_for_people(quality: str, title: str) -> None:
    assert quality_title(quality) == title
