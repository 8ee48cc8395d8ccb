from __future__ import annotations

from pathlib import Path

import pytest
from ddcodec_cli.arguments import default_output, parse_duration, parse_grid
from hypothesis import given
from hypothesis import strategies as st

from ddcodec.errors import UsageError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("9m", 540), ("1h", 3600), ("2d", 172800), ("1.5h", 5400), (".5s", 0.5)],
)
def test_a_length_of_time_becomes_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "90", "s", "0s", "-5s", "1e3s", "9 m s", "5w", "nans", "infs", "1h30m", "٣s" * 2]
)
def test_what_is_no_length_of_time_is_refused_by_name(text: str) -> None:
    with pytest.raises(UsageError, match=r"--time .*90s, 9m"):
        parse_duration(text)


def test_a_length_of_time_beyond_all_floats_is_refused() -> None:
    with pytest.raises(UsageError, match="--time"):
        parse_duration("9" * 400 + "s")


@given(st.integers(1, 999_999), st.integers(1, 999_999))
def test_a_patch_grid_is_columns_by_rows(x: int, y: int) -> None:
    assert parse_grid(f"{x}x{y}", "--patches") == (x, y)


@pytest.mark.parametrize("text", ["", "16", "16x", "x6", "0x6", "16x0", "-1x6", "16x6x2", "a x b"])
def test_what_is_no_patch_grid_is_refused_by_name(text: str) -> None:
    with pytest.raises(UsageError, match=r"--patches .*16x6"):
        parse_grid(text, "--patches")


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("digits", "digits.ddset"),
        ("data/cifar100", "cifar100.ddset"),
        ("data/cifar100/", "cifar100.ddset"),
        ("../mine.npz", "mine.ddset"),
        ("data/v1.2", "v1.2.ddset"),
    ],
)
def test_the_output_is_named_after_the_source_and_lies_here(source: str, name: str) -> None:
    assert default_output(source, ".ddset") == Path(name)


def test_the_current_folder_as_source_gives_its_own_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "flowers"
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert default_output(".", ".ddset") == Path("flowers.ddset")


def test_a_source_without_a_name_asks_for_one() -> None:
    with pytest.raises(UsageError, match="-o"):
        default_output("/", ".ddset")
