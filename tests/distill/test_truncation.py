"""Random and adaptive windows."""

from __future__ import annotations

import torch

from ddcodec.distill.truncation import AdaptiveTruncation, sample_truncation
from ddcodec.runtime.rng import generator


def test_random_truncation_covers_the_whole_range_evenly() -> None:
    g = generator(0, "truncation")
    drawn = [sample_truncation(g, 60, 63) for _ in range(400)]
    counts = [drawn.count(k) for k in range(4)]
    assert sum(counts) == 400
    assert min(counts) > 60
    assert sample_truncation(g, 10, 10) == 0


def falling() -> AdaptiveTruncation:
    adaptive = AdaptiveTruncation(4, 20)
    adaptive.observe(0, torch.linspace(2.0, 0.1, 20) ** 2)
    return adaptive


def mean_start(adaptive: AdaptiveTruncation, progress: float) -> float:
    g = generator(1, "draws")
    return sum(adaptive.sample(g, progress)[0] for _ in range(300)) / 300


def test_large_gradients_come_first_and_small_ones_last() -> None:
    adaptive = falling()
    early, middle, late = (mean_start(adaptive, p) for p in (0.0, 0.5, 0.9))
    assert early < middle - 1 < middle + 1 < late
    assert abs(middle - 8) < 1  # uniform over 0..16


def test_windows_grow_where_gradients_change_and_keep_within_the_run() -> None:
    adaptive = falling()  # its norms fall fastest at the beginning
    g = generator(2, "draws")
    drawn = [adaptive.sample(g, 0.5) for _ in range(400)]
    lengths = dict(drawn)
    assert lengths[0] > lengths[15]
    assert all(3 <= length <= 5 and start + length <= 20 for start, length in drawn)


def test_before_the_first_run_windows_are_random() -> None:
    adaptive = AdaptiveTruncation(4, 20)
    g = generator(3, "draws")
    drawn = [adaptive.sample(g, 0.0) for _ in range(400)]
    assert {length for _, length in drawn} == {4}
    assert {start for start, _ in drawn} == set(range(17))


def test_positions_that_no_run_reached_count_as_the_last_one_reached() -> None:
    adaptive = AdaptiveTruncation(4, 20)
    adaptive.observe(0, torch.linspace(2.0, 1.0, 6))
    whole = AdaptiveTruncation(4, 20)
    whole.observe(0, torch.cat([torch.linspace(2.0, 1.0, 6), torch.ones(14)]))
    for progress in (0.1, 0.5, 0.9):
        draws = [a.sample(generator(4, "draws"), progress) for a in (adaptive, whole)]
        assert draws[0] == draws[1]
    assert mean_start(adaptive, 0.0) < 5


def test_norms_are_running_means_and_what_lies_beyond_the_run_is_left_out() -> None:
    adaptive = AdaptiveTruncation(2, 4)
    adaptive.observe(0, torch.tensor([1.0, 1.0]))
    adaptive.observe(1, torch.tensor([2.0, 3.0, 4.0, 5.0]))
    torch.testing.assert_close(adaptive.norms, torch.tensor([1.0, 1.1, 3.0, 4.0]))


def test_a_run_as_long_as_its_window_has_one_position() -> None:
    adaptive = AdaptiveTruncation(5, 5)
    adaptive.observe(0, torch.arange(1.0, 6.0))
    assert adaptive.sample(generator(0, "x"), 0.1) == (0, 5)
    assert AdaptiveTruncation(5, 3).sample(generator(0, "x"), 0.1)[0] == 0
