"""The picture of several files: any names, any number of them."""

from __future__ import annotations

import io

from PIL import Image

from ddcodec.sweep.comparison import NAME, TRANSFER, paint, render, short
from ddcodec.sweep.curves import Spot
from ddcodec.sweep.plot import STRONG


def points(
    count: int, name: str = "file", transfer: float | None = None
) -> list[tuple[str, Spot, float | None]]:
    return [
        (f"{name} {i}", Spot(900.0 * (i + 1), 0.5 + 0.01 * i, 0.02), transfer) for i in range(count)
    ]


def test_the_picture_has_one_size_and_is_the_same_each_time() -> None:
    data = render(points(3), "digits", "2 networks")
    with Image.open(io.BytesIO(data)) as picture:
        assert (picture.format, picture.size) == ("PNG", (1200, 810))
    assert render(points(3), "digits", "2 networks") == data
    assert render(points(2), "digits", "2 networks") != data


def test_one_file_and_many_can_be_drawn() -> None:
    for count in (1, 24):
        render(points(count), "digits", "")


def test_transfer_is_an_open_mark_of_its_file_and_in_the_legend() -> None:
    from matplotlib.figure import Figure

    axes = Figure().add_subplot()
    paint(axes, [*points(1), *points(1, transfer=0.25)])
    *_, mark, _ = axes.lines
    assert (mark.get_xdata()[0], mark.get_ydata()[0]) == (900, 25)
    assert mark.get_markerfacecolor() == "none"
    assert mark.get_color() == STRONG[1]
    assert axes.get_legend_handles_labels()[1] == ["file 0", "file 0", TRANSFER]
    assert render(points(2, transfer=0.25), "digits", "") != render(points(2), "digits", "")


def test_names_are_text_and_no_formula() -> None:
    render(points(1, "$\\frac{$ 数字 %s"), "$\\frac{$", "$")


def test_a_long_name_keeps_its_end_and_none_is_left_out_of_the_legend() -> None:
    long = "a/very/long/path/to/some/folder/of/results/digits-0.9 (podd)"
    assert len(short(long)) == NAME
    assert short(long).endswith("digits-0.9 (podd)")
    assert not short("_mine (podd)").startswith("_")
