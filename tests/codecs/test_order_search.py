"""The searched class order: never worse than the greedy one, and no single move improves it."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddcodec.codecs.podd.distances import colour_distances, cosine_distances
from ddcodec.codecs.podd.order import class_grid, neighbour_sum, order_classes, place
from ddcodec.codecs.podd.order_search import default_moves, parse_moves, search
from ddcodec.errors import UsageError
from tests.codecs.test_order import SHARED, Images, InMemory, distances, shades


def swapped(cells: list[int], i: int, j: int) -> list[int]:
    other = list(cells)
    other[i], other[j] = other[j], other[i]
    return other


def taken(cells: list[int], i: int, owner: int) -> list[int]:
    return [*cells[:i], owner, *cells[i + 1 :]]


@given(distances(), st.sampled_from([0, 1, 200]), st.integers(0, 9))
def test_no_move_improves_a_searched_order(d: np.ndarray, moves: int, seed: int) -> None:
    n = len(d)
    for grid in (class_grid(n), (n + 2, 1), (2, n)):
        greedy = place(d, grid)
        cells = search(greedy, d, grid, moves=moves, seed=seed)
        total = neighbour_sum(cells, d, grid)
        assert total <= neighbour_sum(greedy, d, grid)
        owned = np.bincount(cells, minlength=n)
        assert owned.min() >= 1
        assert owned.max() - owned.min() <= 1
        count = len(cells)
        others = [swapped(cells, i, j) for i in range(count) for j in range(i)]
        spare = [i for i in range(count) if owned[cells[i]] > owned.min()]
        few = [c for c in range(n) if owned[c] == owned.min()]
        others += [taken(cells, i, c) for i in spare for c in few]
        assert all(neighbour_sum(o, d, grid) >= total - 1e-9 for o in others)


def test_a_search_finds_the_best_order_of_classes_on_a_line() -> None:
    position = np.random.default_rng(0).permutation(12).astype(float)
    d = np.abs(position[:, None] - position[None, :])
    cells = search(list(range(12)), d, (12, 1), moves=100_000, seed=0)
    assert neighbour_sum(cells, d, (12, 1)) == 11


def clip_distances_of_cifar100() -> np.ndarray:
    parquet = pytest.importorskip("pyarrow.parquet")
    path = SHARED / "clip-text" / "clip_vitb32_a_name.npz"
    table = SHARED / "cifar100" / "test-00000-of-00001.parquet"
    if not (path.is_file() and table.is_file()):
        pytest.skip("no CLIP embeddings of CIFAR-100's names here")
    schema = json.loads(parquet.read_schema(table).metadata[b"huggingface"])
    wanted = schema["info"]["features"]["fine_label"]["names"]
    with np.load(path, allow_pickle=False) as file:
        row = {name: i for i, name in enumerate(file["names"].tolist())}
        known = [row[n.replace("_", " ")] for n in wanted if n.replace("_", " ") in row]
        return cosine_distances(file["embeddings"][known])


def test_real_clip_distances_are_ordered_better_than_by_the_greedy_rule() -> None:
    d = clip_distances_of_cifar100()
    assert len(d) == 73
    grid = class_grid(73)
    greedy = place(d, grid)
    started = time.monotonic()
    cells = search(greedy, d, grid, moves=300_000, seed=0)
    assert time.monotonic() - started < 60  # 1 s on an idle core
    assert neighbour_sum(cells, d, grid) < 0.9 * neighbour_sum(greedy, d, grid)
    assert search(greedy, d, grid, moves=300_000, seed=0) == cells
    assert search(greedy, d, grid, moves=300_000, seed=1) != cells


def test_the_score_before_and_after_is_kept() -> None:
    levels = np.random.default_rng(3).permutation(20).tolist()
    order = order_classes("image", shades(levels), (5, 4), moves=20_000)
    greedy = order_classes("image", shades(levels), (5, 4))
    assert greedy.greedy_score is None
    assert order.greedy_score == greedy.score
    assert order.score is not None
    assert greedy.score is not None
    assert order.score > greedy.score


def test_orders_that_somebody_wrote_are_not_searched(tmp_path: Path) -> None:
    for rule in ("given", "paper", str(tmp_path / "order.txt")):
        with pytest.raises(UsageError, match="use it with --order clip, image or colour"):
            order_classes(rule, shades([1, 2, 3]), (3, 1), moves=0)


def test_colour_distances_see_the_mean_colour_alone() -> None:
    images = np.zeros((3, 2, 2, 3), np.uint8)
    images[0, 0] = (90, 0, 0)  # a red bar above
    images[1, 1] = (90, 0, 0)  # below: the same colour
    images[2] = (0, 0, 45)  # another colour of the same brightness
    source = InMemory("bars", ("a", "b", "c"), Images(images, np.arange(3)))
    d = colour_distances(source)  # type: ignore[arg-type]
    assert d[0, 1] == 0
    assert d[0, 2] == d[1, 2] == pytest.approx(1.5)
    assert order_classes("colour", source, (3, 1)).rule == "colour"  # type: ignore[arg-type]


def test_the_budget_is_none_auto_or_a_number() -> None:
    assert parse_moves("none", 10) is None
    assert parse_moves("auto", 10) == default_moves(10) == 200_000
    assert default_moves(10_000) == 4_000_000
    assert parse_moves("0", 10) == 0
    for text in ("-1", "many", "1e6", ""):
        with pytest.raises(UsageError, match="write none, auto or a number of moves"):
            parse_moves(text, 10)
    with pytest.raises(UsageError, match="at least 0 moves, got -1"):
        search([0], np.zeros((1, 1)), (1, 1), moves=-1, seed=0)
