"""``diff`` and its exit code, and ``verify`` on a stream."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ddcodec.format import Storage, read, restate, to_bytes

Run = Callable[..., Any]


@pytest.fixture
def files(tmp_path: Path, digits_file: Path) -> tuple[Path, Path]:
    for name in ("a.ddset", "b.ddset"):
        (tmp_path / name).write_bytes(digits_file.read_bytes())
    return tmp_path / "a.ddset", tmp_path / "b.ddset"


def test_equal_files_have_no_difference(run: Run, files: tuple[Path, Path]) -> None:
    outcome = run("diff", *files)
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")
    assert json.loads(run("diff", *files, "--json").out) == {"same": True, "differences": []}


def test_fields_and_tensors_are_named_with_their_values(run: Run, files: tuple[Path, Path]) -> None:
    a, b = files
    file = read(a)
    arrays = {name: array.copy() for name, array in file.arrays.items()}
    arrays["poster"][0, 0, 0] += 0.5
    storage = {name: Storage(coder="raw") for name in arrays}
    b.write_bytes(to_bytes(file.manifest, arrays, storage)[0])
    restate(b, license="CC0-1.0")
    outcome = run("diff", a, b)
    assert outcome.code == 7
    lines = outcome.out.splitlines()
    assert "license: absent | CC0-1.0" in lines
    assert "tensors.poster.coder: context | raw" in lines
    (tensor,) = [line for line in lines if line.startswith("tensor poster:")]
    assert "% of values differ, by 0.5" in tensor
    report = json.loads(run("diff", a, b, "--json").out)
    assert not report["same"]
    largest = [d["largest"] for d in report["differences"] if d["where"] == "tensor poster"]
    assert largest == [pytest.approx(0.5, abs=1e-6)]


def test_another_shape_and_a_missing_tensor_are_differences(
    run: Run, files: tuple[Path, Path]
) -> None:
    a, b = files
    assert run("encode", "digits", "--ipc", "0.4", "--labels", "fixed", "--steps", "1",
               "--profile", "quick", "-o", b, "-f").code == 0  # fmt: skip
    lines = run("diff", a, b).out.splitlines()
    assert "tensor labels: float32 2x9x10 | absent" in lines
    assert any(line.startswith("tensor poster: float32 1x15x38 | float32 ") for line in lines)


def test_what_is_no_file_is_an_error_not_a_difference(run: Run, files: tuple[Path, Path]) -> None:
    a, b = files
    b.write_bytes(b"hello")
    outcome = run("diff", a, b)
    assert (outcome.code, outcome.out) == (3, "")
    assert "b.ddset" in outcome.error_line
    assert run("diff", a, "absent.ddset").code == 5


@pytest.mark.parametrize(("cut", "code"), [(0, 0), (1, 3)])
def test_verify_reads_a_stream(
    run: Run, digits_file: Path, monkeypatch: pytest.MonkeyPatch, cut: int, code: int
) -> None:
    data = digits_file.read_bytes()
    stream = SimpleNamespace(buffer=io.BytesIO(data[: len(data) - cut]), closed=False)
    monkeypatch.setattr(sys, "stdin", stream)
    outcome = run("verify", "-", "--json")
    assert outcome.code == code
    report = json.loads(outcome.out)
    assert report["file"] == "-"
    assert [finding["where"] for finding in report["findings"]] == ["-"] * cut
