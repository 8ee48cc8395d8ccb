"""PoCO: which class sits where on the poster (paper section 4.2, algorithm 2).

Neighbours share pixels, so classes that resemble each other should be neighbours. Distances come
from CLIP text embeddings (the paper), or from mean images or colours, which needs no weights.
"""

from __future__ import annotations

import math
import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...errors import SourceError, Unsupported, UsageError
from . import distances as by

if TYPE_CHECKING:
    from ...sources.base import Source

RULES = ("auto", "clip", "image", "colour", "paper", "given", "random")
UP_LEFT = ((-1, 0), (0, -1))
FILE_BYTES = 1 << 20  # a longer file of class names is taken for a mistake


@dataclass(frozen=True)
class ClassOrder:
    """The class grid.

    Attributes:
        grid: cells along x and along y.
        cells: class index of every cell, row-major; every class owns at least one.
        rule: how it was found: clip, image, colour, paper, given, random or file.
        score: 1 / sum of the distances between neighbours (paper section 5.3), or None where no
            distances are known; higher is better, comparable only under one kind of distance.
    """

    grid: tuple[int, int]
    cells: tuple[int, ...]
    rule: str
    score: float | None = None

    def matrix(self) -> NDArray[np.int64]:
        """Return the class of every cell, int64 (rows, columns)."""
        return np.asarray(self.cells, dtype=np.int64).reshape(self.grid[1], self.grid[0])


def class_grid(classes: int) -> tuple[int, int]:
    """Return a grid (x, y) with a cell for every class, wider than high by 1 to 2.5 times.

    Of all such grids it is the one with the fewest spare cells, then the squarest. The paper's
    come out: 5x2 for 10 classes, 10x10 for 100, 20x10 for 200.
    """
    rows = range(1, math.isqrt(classes) + 2)
    grids = [(max(y, -(-classes // y)), y) for y in rows]
    shapely = [(x, y) for x, y in grids if 2 * x <= 5 * y]
    return min(shapely, key=lambda g: (g[0] * g[1], g[0] - g[1]))


def check_rule(rule: str) -> None:
    """Raise UsageError unless ``rule`` is one of ``RULES`` or the path of what may be a file."""
    if rule not in RULES and not os.path.exists(rule):  # noqa: PTH110 - pathlib's may raise
        raise UsageError(f"`order`={rule}: neither a rule ({', '.join(RULES)}) nor a file")


def order_classes(
    rule: str,
    source: Source,
    grid: tuple[int, int],
    *,
    seed: int = 0,
) -> ClassOrder:
    """Place the classes of ``source`` on ``grid`` by a rule or as a text file says.

    ``rule`` is auto (clip where open_clip and its weights are at hand, else image), clip, image,
    colour, paper (the printed tables for CIFAR-10 and CIFAR-100, with their own grid), given (the
    source's own order), random (drawn by ``seed``), or the path of a text file (see
    ``read_order``).

    The score is in the rule's own distances for clip, image and colour, in image distances for
    the others.
    """
    check_rule(rule)
    names = source.classes
    if rule == "auto":
        from .clip_text import is_local

        rule = "clip" if is_local() else "image"
    if rule in by.RULES:
        distances = by.class_distances(rule, source)
        cells = greedy_cells(distances, grid)
        return ClassOrder(grid, tuple(cells), rule, score(cells, distances, grid))
    distances = by.image_distances(source)
    if rule == "paper":
        cells, grid = _from_paper(names)
    elif rule == "given":
        cells = fill(range(len(names)), distances, grid)
    elif rule == "random":
        from ...runtime.rng import key

        shuffled = np.random.default_rng(key(seed, "class order")).permutation(len(names))
        cells = fill(shuffled.tolist(), distances, grid)
    else:
        cells = fill(read_order(Path(rule), names, grid), distances, grid)
        rule = "file"
    return ClassOrder(grid, tuple(cells), rule, score(cells, distances, grid))


def zigzag(grid: tuple[int, int]) -> list[tuple[int, int]]:
    """Return all (row, column) of a grid (x, y) along its anti-diagonals, to and fro."""
    columns, rows = grid
    path = []
    for diagonal in range(rows + columns - 1):
        inside = range(max(0, diagonal - columns + 1), min(rows, diagonal + 1))
        path += [(row, diagonal - row) for row in (inside if diagonal % 2 else inside[::-1])]
    return path


def greedy_cells(distances: NDArray[np.float64], grid: tuple[int, int]) -> list[int]:
    """Place classes greedily (algorithm 2); return class indices, row-major.

    Class 0 takes the first cell. Each next cell, along ``zigzag``, takes the class with the
    smallest sum of ``distances`` (n, n) to those above and to the left. Spare cells hold a class
    again: the nearest of those that own the fewest cells. Ties go to the lower index.
    """
    return _complete([0], distances, grid, zigzag(grid))


def fill(cells: Sequence[int], distances: NDArray[np.float64], grid: tuple[int, int]) -> list[int]:
    """Return ``cells`` (row-major, every class) with the spare cells at the end filled.

    Each holds again the class nearest to those above and to the left, as in ``greedy_cells``.
    """
    return _complete(cells, distances, grid, list(np.ndindex(grid[1], grid[0])))


def _complete(
    placed: Sequence[int],
    distances: NDArray[np.float64],
    grid: tuple[int, int],
    path: list[tuple[int, int]],
) -> list[int]:
    # The greedy step of algorithm 2 for every cell of the path beyond those already placed.
    columns, rows = grid
    n = len(distances)
    if columns * rows < max(n, len(placed)):
        raise UsageError(f"a class grid of {columns}x{rows} has no room for {n} classes")
    cells = np.full((rows + 1, columns + 1), -1)  # the rim of -1 answers for outside
    for (row, column), owner in zip(path, placed, strict=False):
        cells[row, column] = owner
    owned = np.bincount(placed, minlength=n)
    for row, column in path[len(placed) :]:
        near = [cells[row + dy, column + dx] for dy, dx in UP_LEFT]
        cost = distances[[c for c in near if c >= 0]].sum(axis=0)
        choice = int(np.argmin(np.where(owned == owned.min(), cost, np.inf)))
        cells[row, column] = choice
        owned[choice] += 1
    return [int(c) for c in cells[:rows, :columns].reshape(-1)]


def neighbour_sum(
    cells: Sequence[int], distances: NDArray[np.float64], grid: tuple[int, int]
) -> float:
    """Return the sum of distances over all pairs of cells that share an edge."""
    columns, rows = grid
    at = np.asarray(cells).reshape(rows, columns)
    across = distances[at[:, :-1], at[:, 1:]].sum()
    down = distances[at[:-1], at[1:]].sum()
    return float(across + down)


def score(
    cells: Sequence[int], distances: NDArray[np.float64], grid: tuple[int, int]
) -> float | None:
    """Return 1 / ``neighbour_sum`` (paper section 5.3), or None where that sum is 0."""
    total = neighbour_sum(cells, distances, grid)
    return 1.0 / total if total > 0 else None


def read_order(path: Path, names: Sequence[str], grid: tuple[int, int]) -> list[int]:
    """Return class indices, row-major, from a UTF-8 text file of class names.

    Either one name a line, or the rows of the class grid: names between commas, as many a line as
    the grid (x, y) is wide. A file names every class once, or fills every cell of the grid; empty
    lines do not count. Raises UsageError for anything else, SourceError for an unreadable file.
    """
    index = {name: i for i, name in enumerate(names)}
    words: list[str] = []
    for number, line in enumerate(_read_text(path).splitlines(), start=1):
        line = line.strip()
        # A class name may hold commas itself, so a line that is a name is not taken apart.
        row = [line] if line in index else [w.strip() for w in line.split(",")]
        row = [w for w in row if w]
        unknown = [w for w in row if w not in index]
        if unknown:
            raise UsageError(f"{path}: line {number}: '{unknown[0]}' is no class of this data set")
        if len(row) > 1 and len(row) != grid[0] and len(words) + len(row) < len(names):
            raise UsageError(
                f"{path}: line {number} has {len(row)} names, but the class grid is "
                f"{grid[0]}x{grid[1]}; write one name a line or {grid[0]} names a line"
            )
        words += row
    missing = [name for name in names if name not in set(words)]
    if missing:
        raise UsageError(f"{path}: class '{missing[0]}' is missing")
    if len(words) not in (len(names), grid[0] * grid[1]):
        raise UsageError(
            f"{path}: {len(words)} names; write each of the {len(names)} classes once, "
            f"or one name for each of the {grid[0] * grid[1]} cells of the class grid"
        )
    return [index[w] for w in words]


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES + 1)
        if len(data) > FILE_BYTES:
            raise UsageError(f"{path}: too long for a file of class names")
        return unicodedata.normalize("NFC", data.decode("utf-8-sig"))  # as names of classes are
    except UnicodeDecodeError:
        raise SourceError(f"{path}: not a UTF-8 text file of class names") from None
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from None


def _from_paper(names: tuple[str, ...]) -> tuple[list[int], tuple[int, int]]:
    rows = printed_order(names)
    if rows is None:
        raise Unsupported(
            "`order`=paper: the paper prints orders for the classes of CIFAR-10 and CIFAR-100 "
            "only; use `order`=image, clip or given"
        )
    index = {name: i for i, name in enumerate(names)}
    return [index[name] for row in rows for name in row], (len(rows[0]), len(rows))


# Figure 8: the poster of 5 x 2 classes. The paper's Plane, Car and Boat are the data set's
# airplane, automobile and ship.
CIFAR10 = """
truck airplane bird deer cat
automobile ship frog horse dog
"""

# Figure 7: the output of PoCO, in the names of the data set. Three are misprints in the paper:
# "Plane" is plain (CIFAR-100 has no plane), "Cap" is cup, "Sweet Paper" is sweet_pepper.
CIFAR100 = """
apple rose road sea shark dolphin dinosaur crocodile lizard leopard
man woman bed bus whale elephant camel turtle lobster caterpillar
boy girl couch chair plate mouse lion crab rabbit squirrel
baby tank tractor table bowl house tiger spider kangaroo seal
ray train motorcycle bridge cup lamp butterfly orchid skunk otter
can plain bicycle cattle clock rocket sunflower palm_tree pine_tree lawn_mower
snake mountain bottle castle cloud trout tulip oak_tree willow_tree streetcar
worm wolf bear forest mushroom poppy telephone maple_tree flatfish skyscraper
snail fox beaver hamster shrew sweet_pepper wardrobe aquarium_fish cockroach orange
beetle bee raccoon possum porcupine pickup_truck television keyboard pear chimpanzee
"""


def printed_order(classes: tuple[str, ...]) -> list[list[str]] | None:
    """Return the printed rows for exactly these classes (in any order), or None."""
    for table in (CIFAR10, CIFAR100):
        rows = [line.split() for line in table.strip().splitlines()]
        if sorted(name for row in rows for name in row) == sorted(classes):
            return rows
    return None
