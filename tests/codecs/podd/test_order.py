"""PoCO: every class has a cell, neighbours resemble each other, files are read exactly."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddcodec.codecs.podd import clip_text
from ddcodec.codecs.podd.clip_text import cosine_distances
from ddcodec.codecs.podd.distances import (
    colour_distances,
    image_distances,
)
from ddcodec.codecs.podd.order import (
    class_grid,
    fill,
    greedy_cells,
    neighbour_sum,
    order_classes,
    printed_order,
    read_order,
    score,
    zigzag,
)
from ddcodec.errors import SourceError, Unsupported, UsageError
from tests.helpers.orders import Images, InMemory, distances, shades
from tests.helpers.real_data import DATA

CIFAR10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
LETTERS = tuple("abcdefghij")


def cifar_test(folder: str, key: str, count: int) -> Any:
    """Return the first images of a CIFAR test set and its class names, or skip."""
    parquet = pytest.importorskip("pyarrow.parquet")
    image = pytest.importorskip("PIL.Image")
    path = DATA / folder / "test-00000-of-00001.parquet"
    if not path.is_file():
        pytest.skip("no CIFAR here")
    schema = json.loads(parquet.read_schema(path).metadata[b"huggingface"])
    names = tuple(schema["info"]["features"][key]["names"])
    rows = parquet.read_table(path, columns=["img", key]).slice(0, count).to_pylist()
    images = [np.asarray(image.open(io.BytesIO(r["img"]["bytes"]))) for r in rows]
    labels = np.array([r[key] for r in rows])
    return InMemory(folder, names, Images(np.stack(images or [np.zeros(0)]), labels))


@pytest.mark.parametrize(("classes", "grid"), [(10, (5, 2)), (100, (10, 10)), (200, (20, 10))])
def test_class_grids_are_those_of_the_paper(classes: int, grid: tuple[int, int]) -> None:
    assert class_grid(classes) == grid


def test_every_number_of_classes_has_a_wide_grid_with_few_spare_cells() -> None:
    for n in range(1, 1001):
        x, y = class_grid(n)
        assert y <= x <= 2.5 * y
        assert n <= x * y
        assert x * y - n <= 0.6 * n**0.5, n
    assert [class_grid(n) for n in (1, 2, 3, 7, 13, 17)] == [
        (1, 1),
        (2, 1),
        (2, 2),
        (4, 2),
        (5, 3),
        (6, 3),
    ]


def test_the_zigzag_follows_the_anti_diagonals_to_and_fro() -> None:
    assert zigzag((3, 3)) == [
        *[(0, 0)],
        *[(0, 1), (1, 0)],
        *[(2, 0), (1, 1), (0, 2)],
        *[(1, 2), (2, 1)],
        *[(2, 2)],
    ]


@given(st.tuples(st.integers(1, 8), st.integers(1, 8)))
def test_the_zigzag_visits_every_cell_once(grid: tuple[int, int]) -> None:
    path = zigzag(grid)
    assert path[0] == (0, 0)
    assert sorted(path) == [(r, c) for r in range(grid[1]) for c in range(grid[0])]


@given(distances())
def test_each_cell_takes_the_class_nearest_to_those_above_and_left(d: np.ndarray) -> None:
    n = len(d)
    columns, rows = class_grid(n)
    cells = greedy_cells(d, (columns, rows))
    owner: dict[tuple[int, int], int] = {(0, 0): 0}
    for row, column in zigzag((columns, rows))[1:]:
        near = [owner[p] for p in ((row - 1, column), (row, column - 1)) if p in owner]
        times = [list(owner.values()).count(c) for c in range(n)]
        free = [c for c in range(n) if times[c] == min(times)]
        owner[row, column] = min(free, key=lambda c: (sum(d[m, c] for m in near), c))
    assert cells == [owner[r, c] for r in range(rows) for c in range(columns)]


@given(distances())
def test_every_class_owns_a_cell_and_spare_cells_are_shared_out(d: np.ndarray) -> None:
    n = len(d)
    for grid in (class_grid(n), (n, 2), (n + 3, 1)):
        cells = greedy_cells(d, grid)
        owned = np.bincount(cells, minlength=n)
        assert owned.sum() == grid[0] * grid[1]
        assert owned.min() >= 1
        assert owned.max() - owned.min() <= 1


def test_classes_on_a_line_are_placed_along_it() -> None:
    position = np.array([0, 7, 3, 9, 1, 5.5])
    d = np.abs(position[:, None] - position[None, :])
    assert greedy_cells(d, (6, 1)) == np.argsort(position).tolist()


def test_a_grid_too_small_for_the_classes_is_refused() -> None:
    with pytest.raises(UsageError, match="3x2 has no room for 7 classes"):
        greedy_cells(np.zeros((7, 7)), (3, 2))


@given(distances(), st.randoms(use_true_random=False))
def test_the_score_is_one_over_the_sum_of_neighbour_distances(d: np.ndarray, random: Any) -> None:
    columns, rows = class_grid(len(d))
    cells = [random.randrange(len(d)) for _ in range(columns * rows)]
    total = 0.0
    for row in range(rows):
        for column in range(columns):
            here = cells[row * columns + column]
            if column + 1 < columns:
                total += d[here, cells[row * columns + column + 1]]
            if row + 1 < rows:
                total += d[here, cells[(row + 1) * columns + column]]
    assert neighbour_sum(cells, d, (columns, rows)) == total
    assert score(cells, d, (columns, rows)) == (1 / total if total else None)


def test_real_clip_embeddings_are_ordered_better_than_by_chance() -> None:
    path = DATA / "clip-text" / "clip_vitb32_a_name.npz"
    if not path.is_file():
        pytest.skip("no CLIP embeddings here")
    with np.load(path, allow_pickle=False) as file:
        names, embeddings = file["names"].tolist(), file["embeddings"]
    d = cosine_distances(embeddings)
    assert (d >= 0).all()
    assert (d == d.T).all()
    assert (np.diag(d) == 0).all()
    rng = np.random.default_rng(0)
    for count in (10, 100, 200, 503):
        chosen = rng.choice(len(names), count, replace=False)
        part, grid = d[np.ix_(chosen, chosen)], class_grid(count)
        greedy = neighbour_sum(greedy_cells(part, grid), part, grid)
        by_chance = [
            neighbour_sum(fill(rng.permutation(count).tolist(), part, grid), part, grid)
            for _ in range(50)
        ]
        assert greedy < np.mean(by_chance) - 2 * np.std(by_chance), count


def test_image_distances_follow_the_mean_shade() -> None:
    d = image_distances(shades([0, 10, 30, 60]))
    assert np.allclose(d / d[0, 1], [[0, 1, 3, 6], [1, 0, 2, 5], [3, 2, 0, 3], [6, 5, 3, 0]])
    assert d.sum() / 12 == pytest.approx(1)
    order = order_classes("image", shades([200, 10, 120, 60]), (4, 1))
    assert order.cells == (0, 2, 3, 1)
    assert (order.rule, order.grid) == ("image", (4, 1))


def test_no_channel_outweighs_the_others_in_image_distances() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(100, 104, (6, 2, 2, 3), dtype=np.uint8)
    loud = images.copy()
    loud[..., 1] = (loud[..., 1] - 100) * 60
    labels = np.arange(6)
    plain = InMemory("plain", LETTERS[:6], Images(images, labels))
    scaled = InMemory("scaled", LETTERS[:6], Images(loud, labels))
    assert np.allclose(image_distances(plain), image_distances(scaled))  # type: ignore[arg-type]


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


def test_classes_that_look_the_same_have_no_score() -> None:
    order = order_classes("image", shades([7, 7, 7]), (3, 1))
    assert sorted(order.cells) == [0, 1, 2]
    assert order.score is None


def test_a_class_without_images_is_named() -> None:
    source = InMemory(
        "few", ("cat", "dog"), Images(np.zeros((1, 2, 2, 3), np.uint8), np.array([0]))
    )
    with pytest.raises(SourceError, match="few: class 'dog' has no training image"):
        order_classes("image", source, (2, 1))  # type: ignore[arg-type]


def test_a_random_order_is_the_seeds_and_has_every_class() -> None:
    source = shades([10 * i for i in range(7)])
    orders = [order_classes("random", source, (4, 2), seed=seed) for seed in range(6)]
    for seed, order in enumerate(orders):
        assert order.rule == "random"
        assert set(order.cells) == set(range(7))
        assert order == order_classes("random", source, (4, 2), seed=seed)
        assert order.score is not None
    assert len({order.cells for order in orders}) == len(orders)


def test_real_images_are_ordered_better_than_they_are_given() -> None:
    source = cifar_test("cifar10", "label", 2000)
    by_image = order_classes("image", source, (5, 2))
    given_order = order_classes("given", source, (5, 2))
    assert sorted(by_image.cells) == list(range(10))
    assert given_order.cells == tuple(range(10))
    assert by_image.score is not None
    assert given_order.score is not None
    assert by_image.score > given_order.score
    # The printed order was made from names alone, and yet its neighbours look alike.
    paper = order_classes("paper", source, (5, 2))
    assert paper.score is not None
    assert paper.score > given_order.score


@pytest.mark.parametrize(("folder", "key"), [("cifar10", "label"), ("cifar100", "fine_label")])
def test_printed_orders_are_permutations_of_the_real_class_names(folder: str, key: str) -> None:
    names = cifar_test(folder, key, 0).classes
    rows = printed_order(names)
    assert rows is not None
    assert len(rows) * len(rows[0]) == len(names)
    assert {len(row) for row in rows} == {len(rows[0])}
    assert sorted(name for row in rows for name in row) == sorted(names)


def test_the_printed_order_of_cifar10_is_that_of_figure_8() -> None:
    order = order_classes("paper", shades(list(range(10)), tuple(CIFAR10)), (5, 2))
    assert order.grid == (5, 2)
    assert [CIFAR10[c] for c in order.cells] == [
        *["truck", "airplane", "bird", "deer", "cat"],
        *["automobile", "ship", "frog", "horse", "dog"],
    ]
    assert order.score is not None


def test_the_printed_order_has_no_other_data_set() -> None:
    with pytest.raises(Unsupported, match="CIFAR-10 and CIFAR-100 only; use `order`=image"):
        order_classes("paper", shades([1, 2, 3]), (3, 1))


def test_spare_cells_of_a_given_order_repeat_a_neighbour() -> None:
    order = order_classes("given", shades([0, 10, 90, 40, 50]), (3, 2))
    # Above the spare cell lies class 2 (shade 90), left of it class 4 (shade 50).
    assert order.cells == (0, 1, 2, 3, 4, 2)


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "order.txt"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize(
    "text",
    [
        "j\ni\nh\ng\nf\ne\nd\nc\nb\na\n",
        "\ufeffj\r\ni\r\n\r\nh\r\ng\r\nf\r\ne\r\nd\r\nc\r\nb\r\na",
        "j, i, h, g, f\ne, d, c, b, a\n",
        "j,i,h,g,f,\n\ne,d,c,b,a,\n",
        "j,i,h,g,f,e,d,c,b,a",
    ],
)
def test_an_order_file_lists_names_or_rows(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, text)
    assert read_order(path, LETTERS, (5, 2)) == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
    order = order_classes(str(path), shades(list(range(10)), LETTERS), (5, 2))
    assert order.cells == (9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
    assert order.rule == "file"
    assert order.score is not None


def test_names_in_an_order_file_are_the_same_in_any_normal_form(tmp_path: Path) -> None:
    assert read_order(write(tmp_path, "cafe\u0301\nbee"), ["bee", "caf\u00e9"], (2, 1)) == [1, 0]


def test_an_order_file_may_fill_the_spare_cells_itself(tmp_path: Path) -> None:
    path = write(tmp_path, "a,a\nb,c\n")
    assert read_order(path, ("a", "b", "c"), (2, 2)) == [0, 0, 1, 2]


def test_a_class_name_may_hold_commas(tmp_path: Path) -> None:
    names = ("tench, Tinca tinca", "goldfish")
    path = write(tmp_path, "goldfish\ntench, Tinca tinca\n")
    assert read_order(path, names, (2, 1)) == [1, 0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\nb\nx\n", "line 3: 'x' is no class of this data set"),
        ("a\nb\n", "class 'c' is missing"),
        ("", "class 'a' is missing"),
        ("a\nb\nc\nd\ne\nf\na\n", "7 names; write each of the 6 classes once"),
        ("a,b\nc,d\ne,f\n", "line 1 has 2 names, but the class grid is 3x2"),
    ],
)
def test_a_wrong_order_file_is_explained(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        read_order(path, tuple("abcdef"), (3, 2))
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_an_order_that_is_neither_rule_nor_file_lists_the_rules(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"neither a rule \(auto, clip, image, colour, paper, given, random\)"
    ):
        order_classes(str(tmp_path / "clap"), shades([1, 2]), (2, 1))


def test_an_order_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="not a UTF-8 text file"):
        read_order(write(tmp_path, b"\xff\xfea"), LETTERS, (5, 2))
    with pytest.raises(SourceError, match="cannot be read"):
        read_order(tmp_path, LETTERS, (5, 2))
    with pytest.raises(UsageError, match="too long"):
        read_order(write(tmp_path, b"a\n" * 600_000), LETTERS, (5, 2))


def test_auto_falls_back_on_images_where_no_clip_weights_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DDCODEC_CLIP", str(tmp_path))
    assert order_classes("auto", shades([1, 9, 4]), (3, 1)).rule == "image"


def test_auto_takes_clip_where_its_weights_are(monkeypatch: pytest.MonkeyPatch) -> None:
    line = np.abs(np.subtract.outer([0.0, 5, 1], [0.0, 5, 1]))
    monkeypatch.setattr(clip_text, "is_local", lambda: True)
    monkeypatch.setattr(clip_text, "text_distances", lambda names: line)
    order = order_classes("auto", shades([0, 1, 5]), (3, 1))
    assert (order.rule, order.cells, order.score) == ("clip", (0, 2, 1), 1 / 5)


def test_ordering_imports_neither_torch_nor_open_clip() -> None:
    code = (
        "import sys, ddcodec.codecs.podd.order, ddcodec.codecs.podd.labels,"
        "ddcodec.codecs.podd.clip_text as c; c.is_local();"
        "print({'torch', 'open_clip'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
