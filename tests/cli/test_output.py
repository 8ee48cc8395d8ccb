from __future__ import annotations

import json
import string

import pytest
from ddcodec_cli import output
from hypothesis import given
from hypothesis import strategies as st


def test_numbers_have_one_notation() -> None:
    assert output.number(40804) == "40,804"
    assert output.byte_count(1234567) == "1,234,567 bytes"
    assert output.byte_count(1) == "1 byte"
    assert output.percent(0.92149) == "92.1 %"
    assert output.accuracy(0.92149, 0.0041) == "92.1 ± 0.4 %"
    assert output.accuracy(1.0, None) == "100.0 %"


@pytest.mark.parametrize(
    ("value", "text"),
    [(8.44, "8.4 s"), (59.96, "60.0 s"), (125.4, "2 min 05 s"), (12000, "3 h 20 min")],
)
def test_lengths_of_time_read_as_people_write_them(value: float, text: str) -> None:
    assert output.seconds(value) == text


@given(st.text())
def test_no_text_can_send_control_characters_to_a_terminal(text: str) -> None:
    assert output.printable(text).isprintable()


@given(st.text(string.ascii_letters + string.digits + " äßé猫犬"))
def test_ordinary_text_is_printed_as_it_is(text: str) -> None:
    assert output.printable(text) == text


def test_an_error_is_one_line_whatever_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    output.error("two\nlines\x1b[31m and a colour")
    said = capsys.readouterr()
    assert said.err == "error: two lines\\x1b[31m and a colour\n"
    assert said.out == ""


def test_a_table_aligns_numbers_right_and_shows_markup_as_text() -> None:
    text = output.table([["[red]a[/red]", "1"], ["b", "1,000"]], ["name", "bytes"])
    assert text.splitlines() == [
        "name          bytes",
        "───────────────────",
        "[red]a[/red]      1",
        "b             1,000",
    ]


def test_json_is_ascii_and_refuses_nan(capsys: pytest.CaptureFixture[str]) -> None:
    output.write_json({"name": "猫\x9b"})
    said = capsys.readouterr().out
    assert said.isascii()
    assert json.loads(said) == {"name": "猫\x9b"}
    with pytest.raises(ValueError):
        output.write_json(float("nan"))
