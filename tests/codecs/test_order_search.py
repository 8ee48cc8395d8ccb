"""The searched class order: never worse than the greedy one."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given

from ddcodec.codecs.podd.distances import colour_distances, cosine_distances
from ddcodec.codecs.podd.order import class_grid, neighbour_sum, order_classes, place
from ddcodec.codecs.podd.order_search import search
from ddcodec.errors import MissingExtra, UsageError
from tests.codecs.test_order import SHARED, Images, InMemory, distances, shades


@given(distances())
def test_a_searched_order_has_the_same_classes_and_is_never_worse(d: np.ndarray) -> None:
    for grid in (class_grid(len(d)), (len(d) + 2, 1), (2, len(d))):
        greedy = place(d, grid)
        cells = search(greedy, d, grid)
        assert sorted(cells) == sorted(greedy)
        assert neighbour_sum(cells, d, grid) <= neighbour_sum(greedy, d, grid) + 1e-9


def test_a_search_finds_the_best_order_of_classes_on_a_line() -> None:
    position = np.random.default_rng(0).permutation(12).astype(float)
    d = np.abs(position[:, None] - position[None, :])
    cells = search(place(d, (12, 1)), d, (12, 1))
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
    cells = search(greedy, d, grid)
    assert neighbour_sum(cells, d, grid) < 0.98 * neighbour_sum(greedy, d, grid)
    assert search(greedy, d, grid) == cells


def test_the_score_before_and_after_is_kept() -> None:
    levels = np.random.default_rng(3).permutation(20).tolist()
    order = order_classes("image", shades(levels), (5, 4), searched=True)
    greedy = order_classes("image", shades(levels), (5, 4))
    assert greedy.greedy_score is None
    assert order.greedy_score == greedy.score
    assert order.score is not None
    assert greedy.score is not None
    assert order.score > greedy.score


def test_orders_that_somebody_wrote_are_not_searched(tmp_path: Path) -> None:
    for rule in ("given", "paper", str(tmp_path / "order.txt")):
        with pytest.raises(UsageError, match="use it with --order clip, image or colour"):
            order_classes(rule, shades([1, 2, 3]), (3, 1), searched=True)


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


def test_a_search_without_scipy_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(MissingExtra, match=r"scipy.*data"):
        order_classes("image", shades([1, 2, 3]), (3, 1), searched=True)
