"""Finished parts of a run: found again by what decides them, and by nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ddcodec.runtime.finished import NOTHING, FinishedFile, key_of
from tests.helpers.reporters import Notes

RUN = {"test": "ab", "versions": ["1", "2"]}


def opened(folder: Path, run: dict[str, Any] = RUN, notes: Notes | None = None) -> FinishedFile:
    return FinishedFile(folder / "x.ddset", run, notes or Notes())


def test_what_was_kept_is_found_by_another_process_to_the_last_bit(tmp_path: Path) -> None:
    first = opened(tmp_path)
    assert not first.kept
    first.keep(key_of("network", 0), [0.1 + 0.2, 1e-17])
    assert first.kept
    again = opened(tmp_path)
    assert again.find(key_of("network", 0)) == [0.1 + 0.2, 1e-17]
    assert again.find(key_of("network", 1)) is None


def test_another_run_finds_nothing_and_has_a_file_of_its_own(tmp_path: Path) -> None:
    first, other = opened(tmp_path), opened(tmp_path, RUN | {"test": "cd"})
    first.keep("a", 1)
    assert other.find("a") is None
    other.keep("a", 2)
    assert len(list(tmp_path.iterdir())) == 2
    assert opened(tmp_path).find("a") == 1
    other.remove()
    other.remove()
    assert opened(tmp_path).find("a") == 1


def test_two_processes_at_one_run_lose_nothing(tmp_path: Path) -> None:
    first, second = opened(tmp_path), opened(tmp_path)
    first.keep("a", 1)
    second.keep("b", 2)
    assert [opened(tmp_path).find(key) for key in "ab"] == [1, 2]


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"run": {}, "parts": {"a": 1}}', b"\xff"])
def test_a_damaged_file_counts_for_nothing_and_is_replaced(tmp_path: Path, damage: bytes) -> None:
    first = opened(tmp_path)
    first.keep("a", 1)
    first.path.write_bytes(damage)
    again = opened(tmp_path)
    assert again.find("a") is None
    again.keep("b", 2)
    assert json.loads(again.path.read_bytes())["parts"] == {"b": 2}


def test_a_folder_that_takes_no_file_is_told_once_and_ends_nothing(tmp_path: Path) -> None:
    notes = Notes()
    finished = FinishedFile(tmp_path / "gone" / "x.ddset", RUN, notes)
    finished.keep("a", 1)
    finished.keep("b", 2)
    assert finished.find("a") == 1
    assert not finished.kept
    assert len(notes.said) == 1
    assert "are not kept" in notes.said[0]


def test_a_long_name_keeps_its_parts_too(tmp_path: Path) -> None:
    subject = tmp_path / ("x" * 240 + ".ddset")
    FinishedFile(subject, RUN, Notes()).keep("a", 1)
    assert FinishedFile(subject, RUN, Notes()).find("a") == 1


def test_a_key_tells_values_apart_and_takes_tuples_as_lists() -> None:
    assert key_of(1, "1") != key_of("1", 1)
    assert key_of((3, 8, 8), {"b": 1, "a": 2}) == key_of([3, 8, 8], {"a": 2, "b": 1})
    NOTHING.keep("a", 1)
    assert NOTHING.find("a") is None
