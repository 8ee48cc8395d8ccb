"""PoCO: which class sits where on the poster (paper section 4.2, algorithm 2).

Neighbours share pixels, so classes that resemble each other should be neighbours. Distances come
from CLIP text embeddings (the paper), or from class-mean images, which needs no weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import SourceError, Unsupported, UsageError
from ...sources.base import Source
from .orders_paper import printed_order

RULES = ("auto", "clip", "image", "paper", "given")


@dataclass(frozen=True)
class ClassOrder:
    """The class grid.

    Attributes:
        grid: cells along x and along y.
        cells: class index of every cell, row-major; every class owns at least one.
        rule: how it was found.
        score: 1 / sum of the distances between neighbours (paper section 5.3), or None where no
            distances are known; higher is better, comparable only under one rule.
    """

    grid: tuple[int, int]
    cells: tuple[int, ...]
    rule: str
    score: float | None = None


def class_grid(classes: int) -> tuple[int, int]:
    """Return a grid (x, y) with a cell for every class, between 1:1 and 2.5:1 where it can be.

    The paper's grids come out: 5x2 for 10 classes, 10x10 for 100, 20x10 for 200. Where no exact
    factors exist (primes), a few cells are left over and hold a class twice.
    """
    exact = [(classes // y, y) for y in range(1, math.isqrt(classes) + 1) if classes % y == 0]
    x, y = exact[-1]
    if x <= 2.5 * y or classes < 4:
        return x, y
    y = math.isqrt(classes)
    return -(-classes // y), y


def order_classes(
    rule: str, source: Source, grid: tuple[int, int]
) -> ClassOrder:
    """Place the classes of ``source`` on ``grid`` by a rule or as a text file says.

    ``rule`` is auto (clip where open_clip and its weights are at hand, else image), clip, image,
    paper (the printed tables for CIFAR-10 and CIFAR-100), given (the source's own order), or the
    path of a text file: class names separated by commas or line ends, row by row.
    """
    names = source.classes
    if rule == "auto":
        rule = "clip" if _clip_is_local() else "image"
    if rule == "clip":
        from .clip_text import text_distances

        distances = text_distances(names)
        cells = place(distances, grid)
    elif rule == "image":
        distances = image_distances(source)
        cells = place(distances, grid)
    else:
        # No distances belong to these rules; the score is that of the images.
        distances = image_distances(source)
        if rule == "paper":
            cells, grid = _from_paper(names)
        elif rule == "given":
            cells = _fill(list(range(len(names))), distances, grid)
        else:
            cells = _fill(_from_file(Path(rule), names), distances, grid)
            rule = "file"
    total = neighbour_sum(cells, distances, grid)
    return ClassOrder(grid, tuple(cells), rule, 1.0 / total if total > 0 else None)


def image_distances(source: Source) -> NDArray[np.float64]:
    """Return distances between class-mean images, float64 (n, n), mean off-diagonal value 1."""
    images, labels = source.train.images, source.train.labels
    n = len(source.classes)
    means = np.stack([images[labels == c].mean(axis=0, dtype=np.float64) for c in range(n)])
    flat = means.reshape(n, -1)
    squares = (flat * flat).sum(axis=1)
    gap = np.sqrt(np.maximum(squares[:, None] + squares[None, :] - 2 * flat @ flat.T, 0))
    np.fill_diagonal(gap, 0)
    mean = gap.sum() / max(1, n * (n - 1))
    return gap / mean if mean > 0 else gap


def cosine_distances(vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return 1 - cosine between the rows of (n, d), float64 (n, n)."""
    v = vectors.astype(np.float64)
    v = v / np.linalg.norm(v, axis=1, keepdims=True)
    return np.clip(1 - v @ v.T, 0, 2)


def zigzag(grid: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Yield all (row, column) of a grid (x, y) along its anti-diagonals, to and fro."""
    columns, rows = grid
    for diagonal in range(rows + columns - 1):
        inside = range(max(0, diagonal - columns + 1), min(rows, diagonal + 1))
        downwards = diagonal % 2 == 1
        for row in inside if downwards else reversed(inside):
            yield row, diagonal - row


def place(distances: NDArray[np.float64], grid: tuple[int, int], first: int = 0) -> list[int]:
    """Place classes greedily (algorithm 2): each next cell takes the class nearest to the classes
    above and to the left. Cells beyond the last class hold the nearest class again.

    Returns class indices, row-major. Ties go to the lower index, so the result is exact.
    """
    columns, rows = grid
    n = len(distances)
    if columns * rows < n:
        raise UsageError(f"a class grid of {columns}x{rows} has no room for {n} classes")
    cells = np.full((rows, columns), -1)
    left = set(range(n))
    for row, column in zigzag(grid):
        placed = [int(cells[r, c]) for r, c in ((row - 1, column), (row, column - 1))
                  if r >= 0 and c >= 0]  # fmt: skip
        if not placed:
            choice = first
        else:
            cost = distances[placed].sum(axis=0)
            candidates = sorted(left) if left else [c for c in range(n) if c not in placed or n == 1]
            choice = min(candidates or range(n), key=lambda c: (cost[c], c))
        cells[row, column] = choice
        left.discard(choice)
    return [int(c) for c in cells.reshape(-1)]


def neighbour_sum(
    cells: Sequence[int], distances: NDArray[np.float64], grid: tuple[int, int]
) -> float:
    """Return the sum of distances over all pairs of cells that share an edge."""
    columns, rows = grid
    at = np.asarray(cells).reshape(rows, columns)
    across = distances[at[:, :-1], at[:, 1:]].sum()
    down = distances[at[:-1], at[1:]].sum()
    return float(across + down)


def _fill(
    cells: list[int], distances: NDArray[np.float64], grid: tuple[int, int]
) -> list[int]:
    # Spare cells at the end hold the class that is nearest to the one before.
    spare = grid[0] * grid[1] - len(cells)
    if spare < 0:
        raise UsageError(f"a class grid of {grid[0]}x{grid[1]} has no room for {len(cells)} cells")
    last = cells[-1]
    others = [c for c in np.argsort(distances[last], kind="stable").tolist() if c != last]
    return cells + [others[0] if others else last] * spare


def _from_paper(names: tuple[str, ...]) -> tuple[list[int], tuple[int, int]]:
    rows = printed_order(names)
    if rows is None:
        raise Unsupported(
            "--order paper: the paper prints orders for the classes of CIFAR-10 and CIFAR-100 "
            "only; use --order image, clip or given"
        )
    index = {name: i for i, name in enumerate(names)}
    return [index[name] for row in rows for name in row], (len(rows[0]), len(rows))


def _from_file(path: Path, names: tuple[str, ...]) -> list[int]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        known = ", ".join(RULES)
        raise UsageError(f"--order {path}: neither a rule ({known}) nor a file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path}: cannot be read as a text file of class names: {error}") from None
    words = [w.strip() for line in text.splitlines() for w in line.split(",")]
    words = [w for w in words if w]
    index = {name: i for i, name in enumerate(names)}
    unknown = [w for w in words if w not in index]
    if unknown:
        raise UsageError(f"{path}: '{unknown[0]}' is no class of this data set")
    missing = [name for name in names if name not in words]
    if missing or len(words) != len(names):
        what = f"'{missing[0]}' is missing" if missing else "a class stands twice"
        raise UsageError(f"{path}: {what}; name each of the {len(names)} classes once")
    return [index[w] for w in words]


def _clip_is_local() -> bool:
    from .clip_text import is_local

    return is_local()
