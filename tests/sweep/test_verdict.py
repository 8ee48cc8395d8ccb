"""What a sweep says in words of its baselines."""

from __future__ import annotations

from typing import Any

from ddcodec.sweep.verdict import ahead, sentence


def entry(ipc: float, *scores: float, name: str = "") -> dict[str, Any]:
    mean = sum(scores) / len(scores) if scores else None
    place = {"ipc": ipc, "quality": "auto", "preprocessing": "auto"}
    return {"name": name, **place, "per_net": list(scores), "accuracy_mean": mean}


POINTS = [entry(1, 0.5, 0.7), entry(1, 0.9), entry(2, 0.8)]  # 0.7 and 0.8
BASELINES = [
    entry(1, 0.69, name="a"),
    entry(2, 0.81, name="a"),
    entry(1, 0.71, name="b"),
    entry(2, 0.9, name="b"),
    entry(1, 0.1, name="c"),
    entry(2, name="d"),
    entry(3, 1.0, name="e"),  # beside no file
]


def test_a_baseline_is_ahead_where_its_mean_is_above_that_of_all_seeds() -> None:
    assert ahead(POINTS, BASELINES) == {"b": (2, 2), "a": (1, 2)}
    assert sentence(POINTS, BASELINES, {"a": "A"}) == (
        "Better than the files: b (2 of 2 sizes); A (1 of 2 sizes)."
    )


def test_a_sweep_says_so_too_where_nothing_is_better_and_nothing_where_nothing_is_known() -> None:
    none = sentence(POINTS, BASELINES[4:], {})
    assert none == "Nothing in the same bytes or pixels is better than the files."
    assert sentence(POINTS, [], {}) is None
    assert sentence([], BASELINES, {}) is None
