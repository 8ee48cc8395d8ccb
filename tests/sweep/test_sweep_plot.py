"""The picture of a sweep: drawn from any record, the same each time, and never without notice."""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ddcodec import MissingExtra, UsageError
from ddcodec.sweep.plot import draw, render, tick_steps, titles
from ddcodec.sweep.record import SweepRecord

BASE = {"source": "digits", "nets": 2, "test": "digits", "test_images": 397, "encode": {}}


def entry(size: int, score: float, **more: Any) -> dict[str, Any]:
    return {
        "bytes": size,
        "bits_per_class": 0.8 * size,
        "accuracy_mean": score,
        "accuracy_std": 0.02,
        "per_net": [score - 0.02, score + 0.02],
        "train_steps": 100,
        **more,
    }


def made(folder: Path, points: int = 3, **identity: Any) -> SweepRecord:
    record = SweepRecord(folder, BASE | identity)
    for index in range(points):
        for bits in (4, 8):
            place = {"ipc": 0.3 * (index + 1), "quality": f"bits={bits}", "preprocessing": "auto"}
            size = (600 + 100 * bits) * (index + 1)
            record.points.append(entry(size, 0.5 + 0.1 * index, seed=0, **place))
            for name in ("random_images_jpeg", "random_images_webp", "k_means"):
                record.baselines.append(entry(size - 9, 0.4, name=name, **place))
    record.full_data = entry(90_000, 0.99)
    return record


def test_the_picture_is_a_png_of_one_size_and_the_same_each_time(tmp_path: Path) -> None:
    data = render(made(tmp_path))
    with Image.open(io.BytesIO(data)) as picture:
        assert (picture.format, picture.size) == ("PNG", (1200, 810))
        assert len(picture.convert("RGB").getcolors(1 << 20) or []) > 50
    assert render(made(tmp_path)) == data


@pytest.mark.parametrize("points", [1, 2])
def test_few_points_can_be_drawn(tmp_path: Path, points: int) -> None:
    record = made(tmp_path, points)
    draw(record, tmp_path / "sweep.png")
    record.baselines, record.full_data = [], None
    draw(record, tmp_path / "sweep.png")
    assert [path.name for path in tmp_path.iterdir()] == ["sweep.png"]


def test_names_are_text_and_no_formula(tmp_path: Path) -> None:
    render(made(tmp_path, source="$\\frac{$ 数字 %s"))


def test_no_point_is_an_error_and_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no point is measured yet"):
        draw(SweepRecord(tmp_path, BASE), tmp_path / "sweep.png")
    assert list(tmp_path.iterdir()) == []


def test_without_matplotlib_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'ddcodec\[plot\]'") as problem:
        render(made(tmp_path))
    assert problem.value.exit_code == 4


def test_the_title_names_source_networks_and_steps(tmp_path: Path) -> None:
    record = made(tmp_path, encode={"steps": 1500})
    assert titles(record) == (
        "digits: accuracy against bytes",
        "2 networks a file, 100 steps each; mean ± std; encoded in 1,500 steps",
    )
    record = made(tmp_path, encode={"time": 90.0})
    record.points[0]["train_steps"], record.points[1]["seed"] = 50, 1
    assert titles(record)[1] == (
        "2 networks a file, 50 to 100 steps each; mean ± std over networks and 2 seeds; "
        "encoded in 90 s"
    )


def test_axes_of_any_length_have_some_marks_and_not_too_many() -> None:
    for span in (1.05, 2, 3.9, 10, 299, 1e4, 1e6):
        places = [m * 10**e for e in range(7) for m in tick_steps(span)]
        inside = [x for x in places if 1000 <= x <= 1000 * span * 1.1]
        assert 1 <= len(inside) <= 12, span
