from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ddcodec_cli.info import measured_text

Run = Callable[..., Any]


def test_one_file_is_described_in_exact_numbers(run: Run, digits_file: Path) -> None:
    outcome = run("info", digits_file)
    assert (outcome.code, outcome.err) == (0, "")
    size = digits_file.stat().st_size
    facts = json.loads(run("info", digits_file, "--json").out)
    assert facts["bytes"]["total"] == size
    for text in (
        "podd",
        "digits, train split",
        f"{facts['pixels']:,} (",
        f"{size:,}",
        f"{facts['bits_per_class']:,.1f}",
        facts["content_digest"],
    ):
        assert text in outcome.out
    assert facts["bits_per_class"] == 8 * size / 10


def test_the_bytes_of_the_parts_add_up_to_the_file(run: Run, digits_file: Path) -> None:
    size = json.loads(run("info", digits_file, "--json").out)["bytes"]
    assert size["header"] + sum(size["tensors"].values()) == size["total"]


def test_json_has_every_promised_field(run: Run, digits_file: Path) -> None:
    facts = json.loads(run("info", digits_file, "--json").out)
    promised = "codec classes image pixels ipc patches bytes bits_per_class external measured"
    assert {*promised.split(), "content_digest"} <= set(facts)
    assert facts["pixels"] <= 0.9 * 10 * 8 * 8


def test_several_files_make_one_table_and_one_list(run: Run, digits_file: Path) -> None:
    shutil.copy(digits_file, "second.ddset")
    table = run("info", digits_file, "second.ddset").out.splitlines()
    assert len(table) == 4
    assert table[0].split()[:3] == ["file", "codec", "classes"]
    assert table[3].startswith("second.ddset ")
    facts = json.loads(run("info", digits_file, "second.ddset", "--json").out)
    assert isinstance(facts, list)
    assert facts[0]["content_digest"] == facts[1]["content_digest"]


def test_info_goes_on_after_files_that_cannot_be_read(run: Run, digits_file: Path) -> None:
    Path("broken.ddset").write_bytes(digits_file.read_bytes()[:-1])
    outcome = run("info", "broken.ddset", "absent.ddset", digits_file)
    assert outcome.code == 3
    table = outcome.out.splitlines()
    assert len(table) == 3
    assert table[2].startswith(f"{digits_file} ")
    invalid, absent = outcome.err.splitlines()
    assert invalid.startswith("error: broken.ddset")
    assert absent.startswith("error: absent.ddset")
    listed = run("info", digits_file, "absent.ddset", "--json")
    assert listed.code == 5
    assert [facts["file"] for facts in json.loads(listed.out)] == [str(digits_file)]
    nothing = run("info", "absent.ddset", "broken.ddset")
    assert (nothing.code, nothing.out) == (3, "")
    assert run("info", "absent.ddset", "broken.ddset", "--json").out == "[]\n"
    # One file alone is what it was: its line, and nothing on stdout.
    alone = run("info", "absent.ddset", "--json")
    assert (alone.code, alone.out) == (5, "")


@pytest.mark.parametrize(
    ("nets", "text"), [(1, "91.0 %, one network"), (4, "91.0 ± 0.4 %, 4 networks")]
)
def test_one_network_has_no_deviation(nets: int, text: str) -> None:
    entry = {"accuracy_mean": 0.91, "accuracy_std": 0.004 * (nets > 1), "nets": nets}
    assert measured_text(entry) == text
    assert measured_text(entry, short=True) == text.partition(",")[0]


def test_verify_says_valid_and_exits_0(run: Run, digits_file: Path) -> None:
    outcome = run("verify", digits_file)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == f"{digits_file}: valid\n"
    assert json.loads(run("verify", digits_file, "--json").out) == {
        "file": str(digits_file),
        "valid": True,
        "unsupported": None,
        "findings": [],
    }


def test_verify_numbers_what_is_wrong_and_exits_3(
    run: Run, tmp_path: Path, digits_file: Path
) -> None:
    broken = bytearray(digits_file.read_bytes())
    broken[-1] ^= 1
    (tmp_path / "broken.ddset").write_bytes(broken)
    outcome = run("verify", digits_file, "broken.ddset")
    assert outcome.code == 3
    first, second, *findings = outcome.out.splitlines()
    assert first.endswith(": valid")
    assert second.startswith("broken.ddset: invalid, ")
    assert findings
    assert all(line.startswith("  DDS-E") for line in findings)
    several = run("verify", digits_file, "broken.ddset", "--json")
    assert several.code == 3
    reports = json.loads(several.out)
    assert [report["valid"] for report in reports] == [True, False]
    assert reports[1]["findings"][0]["code"].startswith("DDS-E")


def test_verify_goes_on_after_a_file_that_cannot_be_read(run: Run, digits_file: Path) -> None:
    outcome = run("verify", "absent.ddset", digits_file)
    assert outcome.code == 5
    assert outcome.out == f"{digits_file}: valid\n"
    assert "absent.ddset" in outcome.error_line


def test_equivalents_are_shown_when_asked(run: Run, digits_file: Path) -> None:
    assert "equivalent" not in run("info", digits_file).out
    outcome = run("info", digits_file, "--equivalents")
    assert (outcome.code, outcome.err) == (0, "")
    same = json.loads(run("info", digits_file, "--equivalents", "--json").out)["equivalents"]
    size = digits_file.stat().st_size
    assert f"{same['fp32_images_per_class']:.3g} fp32 images per class" in outcome.out
    for form in ("png", "npz"):
        total = same[form]["total"]
        assert f"{total:,} ({total / size:.3g} x)" in outcome.out
    table = run("info", digits_file, digits_file, "--equivalents").out.splitlines()
    assert {"PNG", "npz"} <= set(table[0].split())
    assert f"{same['npz']['total']:,}" in table[2]


def test_a_network_in_the_file_is_named_with_its_bytes(run: Run) -> None:
    folder = Path(__file__).parents[2] / "spec" / "vectors" / "valid"
    for name, network, views in (
        ("live", "residual-6", " that labels every view"),
        ("residual", "residual-11", ""),
        ("convnet3", "convnet3", ""),
    ):
        path = folder / f"lic-teacher-{name}.ddset"
        facts = json.loads(run("info", path, "--json").out)
        text = f"a {network} network of {facts['bytes']['labels']:,} bytes{views}, temperature 2.5"
        assert f"labels           teacher in the file, {text}\n" in run("info", path).out
