"""A better class order than the greedy one: local search on the neighbour-distance sum.

The paper leaves "better optimisation" of the order as future work. Placing classes on a grid so
that neighbours are near is a quadratic assignment problem; annealed swaps of two cells, then a
descent until no swap helps, come close to its optimum in seconds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError

MOVES_PER_CELL = 20_000  # of the default budget, up to MOST_MOVES: seconds on one core
MOST_MOVES = 4_000_000
HOT, COLD = 0.5, 0.03  # first and last temperature, in standard deviations of the distances
Cells = NDArray[np.int64]
Distances = NDArray[np.float64]


def default_moves(cells: int) -> int:
    """Return the budget of ``search`` for a number of cells, in proposed moves."""
    return min(MOST_MOVES, MOVES_PER_CELL * cells)


def parse_moves(text: str, cells: int) -> int | None:
    """Return the budget that ``--order-search`` asks for: none, auto, or a number of moves.

    None is no search, auto is ``default_moves``. Raises UsageError for anything else.
    """
    if text == "none":
        return None
    if text == "auto":
        return default_moves(cells)
    if not re.fullmatch(r"\d{1,12}", text):
        raise UsageError(f"--order-search {text}: write none, auto or a number of moves")
    return int(text)


def search(
    cells: Sequence[int],
    distances: Distances,
    grid: tuple[int, int],
    *,
    moves: int,
    seed: int,
) -> list[int]:
    """Return ``cells`` (class indices, row-major) rearranged to a lower neighbour-distance sum.

    Two kinds of moves: two cells change places, and a spare cell takes another class (of those
    that own the fewest cells), so every class keeps a cell. ``moves`` of them are proposed with a
    falling temperature; then the best one is made again and again until none lowers the sum. That
    descent also starts from ``cells`` itself, and the better end is taken: the result is never
    worse, and no single move improves it. ``moves`` 0 is the descent alone.

    Args:
        cells: the order to improve; every class owns at least one.
        distances: float64 (n, n), symmetric, diagonal 0, none negative.
        grid: cells along x and y.
        moves: at least 0.
        seed: at least 0; the same arguments give the same order.

    Raises:
        UsageError: ``moves`` is negative.
    """
    if moves < 0:
        raise UsageError(f"a search of the class order takes at least 0 moves, got {moves}")
    start = _Placement(cells, distances, grid)
    best = start.copy()
    _descend(best)
    apart = distances[~np.eye(len(distances), dtype=bool)]
    spread = float(apart.std()) if len(apart) else 0.0
    if moves > 0 and spread > 0:
        annealed = start.copy()
        _anneal(annealed, moves, spread, np.random.default_rng(seed))
        _descend(annealed)
        if annealed.total() < best.total():
            best = annealed
    return [int(c) for c in best.cells]


class _Placement:
    """Classes on cells, and what moves would change.

    Cells are numbered row-major; the cell after the last stands for outside, and so does the class
    after the last, whose distances are 0. So sums over four neighbours need no borders.
    """

    def __init__(self, cells: Sequence[int], distances: Distances, grid: tuple[int, int]) -> None:
        columns, rows = grid
        self.count, self.classes = columns * rows, len(distances)
        self.cells: Cells = np.asarray(cells, dtype=np.int64).copy()
        self.d = np.zeros((self.classes + 1, self.classes + 1))
        self.d[:-1, :-1] = distances
        at = np.full((rows + 2, columns + 2), self.count)
        at[1:-1, 1:-1] = np.arange(self.count).reshape(rows, columns)
        sides = (at[:-2, 1:-1], at[2:, 1:-1], at[1:-1, :-2], at[1:-1, 2:])
        self.near: Cells = np.stack([side.reshape(-1) for side in sides], axis=1)  # (cells, 4)

    def copy(self) -> _Placement:
        other = object.__new__(_Placement)
        other.__dict__ = {**self.__dict__, "cells": self.cells.copy()}
        return other

    def owners_near(self, cell: Cells) -> Cells:
        """Return the classes on the four sides of each cell, int64 (B, 4)."""
        return np.append(self.cells, self.classes)[self.near[cell]]

    def total(self) -> float:
        """Return the sum over all pairs of neighbours."""
        return float(self.d[self.cells[:, None], self.owners_near(np.arange(self.count))].sum() / 2)

    def swap_costs(self, a: Cells, b: Cells) -> NDArray[np.float64]:
        """Return by how much the sum grows where cell a[i] and cell b[i] change places, (B,)."""
        of_a, of_b = self.cells[a], self.cells[b]
        near_a, near_b = self.owners_near(a), self.owners_near(b)
        change = self.d[of_b[:, None], near_a] - self.d[of_a[:, None], near_a]
        change += self.d[of_a[:, None], near_b] - self.d[of_b[:, None], near_b]
        # The edge between neighbours stays, but was taken away twice above.
        beside = (self.near[a] == b[:, None]).any(axis=1)
        return np.asarray(change.sum(axis=1) + 2 * beside * self.d[of_a, of_b])

    def spare(self) -> tuple[Cells, Cells]:
        """Return (cells that may take another class, classes that they may take)."""
        owned = np.bincount(self.cells, minlength=self.classes)
        fewest = owned.min()
        return np.flatnonzero(owned[self.cells] > fewest), np.flatnonzero(owned == fewest)

    def take_costs(self, cell: Cells, taken: Cells) -> NDArray[np.float64]:
        """Return by how much the sum grows where a cell takes a class: (B, T) of (B,) and (T,)."""
        near = self.owners_near(cell)
        now = self.d[self.cells[cell][:, None], near].sum(axis=1)
        then = self.d[taken[None, :, None], near[:, None, :]].sum(axis=2)
        return np.asarray(then - now[:, None])


def _anneal(at: _Placement, moves: int, spread: float, g: np.random.Generator) -> None:
    """Make random moves, worse ones with a probability that falls with the temperature."""
    pairs = at.count // 2
    if pairs == 0:
        return
    sweeps = max(1, moves // pairs)
    owner = np.full(at.count + 1, pairs)
    for sweep in range(sweeps):
        temperature = spread * HOT * (COLD / HOT) ** (sweep / sweeps)
        shuffled = g.permutation(at.count)
        a, b = shuffled[:pairs], shuffled[pairs : 2 * pairs]
        cost = at.swap_costs(a, b)
        chance = g.random(pairs)
        wanted = np.flatnonzero(cost < -temperature * np.log1p(-chance))
        a, b = a[wanted], b[wanted]
        # Swaps beside each other would change each other's cost: of those the first is made.
        owner[:] = pairs
        rank = np.arange(len(a))
        owner[a] = owner[b] = rank
        first = np.minimum(owner[at.near[a]].min(axis=1), owner[at.near[b]].min(axis=1))
        alone = first >= rank
        a, b = a[alone], b[alone]
        at.cells[a], at.cells[b] = at.cells[b], at.cells[a]
        cells, classes = at.spare()
        if len(cells):
            cell = g.choice(cells, 1)
            taken = g.choice(classes, 1)
            cost = at.take_costs(cell, taken)[0]
            if cost[0] < -temperature * np.log1p(-g.random()):
                at.cells[cell] = taken


def _descend(at: _Placement) -> None:
    """Make the best move until none lowers the sum."""
    everywhere = np.arange(at.count)
    beside = np.zeros((at.count, at.count + 1), dtype=bool)
    beside[everywhere[:, None], at.near] = True
    beside = beside[:, :-1]
    least = 1e-12 * max(1.0, at.total())
    while True:
        # pull[i, j]: what the neighbours of cell i would cost the class of cell j.
        pull = at.d[at.owners_near(everywhere)].sum(axis=1)[:, at.cells]
        own = np.diagonal(pull)
        cost = pull + pull.T - own[:, None] - own[None, :]
        cost += 2 * beside * at.d[np.ix_(at.cells, at.cells)]
        i, j = divmod(int(np.argmin(cost)), at.count)
        gain = float(cost[i, j])
        cells, classes = at.spare()
        if len(cells):
            take = at.take_costs(cells, classes)
            k, c = divmod(int(np.argmin(take)), len(classes))
            if take[k, c] < min(gain, -least):
                at.cells[cells[k]] = classes[c]
                continue
        if gain >= -least:
            return
        at.cells[i], at.cells[j] = at.cells[j], at.cells[i]
