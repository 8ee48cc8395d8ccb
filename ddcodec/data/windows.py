"""The windows of a long row of chunks: whole batches that are in memory, and shuffled, together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ..runtime.rng import generator

Left = tuple[int, int, int]  # window, its first batch that is left, its end


@dataclass(frozen=True)
class Windows:
    """How ``count`` images in chunks of ``chunk`` make windows of whole batches.

    A window is as many batches as fit into ``buffer`` chunks, at least one.
    """

    count: int
    chunk: int
    batch_size: int
    buffer: int
    drop_last: bool

    @property
    def used(self) -> int:
        """Images of an epoch."""
        return self.count - self.count % self.batch_size if self.drop_last else self.count

    @property
    def length(self) -> int:
        """Images of a window; the last may have fewer."""
        return max(1, self.buffer * self.chunk // self.batch_size) * self.batch_size

    def batches(self) -> list[int]:
        """Return the number of batches of each window."""
        return [
            -(-min(self.length, self.used - begin) // self.batch_size)
            for begin in range(0, self.used, self.length)
        ]

    def chunk_order(self, seed: int, epoch: int, shuffle: bool) -> list[int]:
        """Return the order in which chunks make the long row of an epoch."""
        chunks = -(-self.count // self.chunk)
        if not shuffle:
            return list(range(chunks))
        order: list[int] = torch.randperm(
            chunks, generator=generator(seed, "chunks", epoch)
        ).tolist()
        return order

    def parts(self, window: int, order: Sequence[int]) -> list[tuple[int, int, int]]:
        """Return (chunk, begin, end) of what a window takes, rows counted within the chunk."""
        low = window * self.length
        high = min(low + self.length, self.used)
        last = -(-self.count // self.chunk) - 1
        short = (last + 1) * self.chunk - self.count  # rows that the last chunk lacks
        where = order.index(last)
        found = []
        # Places before the short chunk are exact; behind it all begin earlier by what it lacks.
        place = max(0, low // self.chunk)
        while place < len(order):
            begin = place * self.chunk - (short if place > where else 0)
            size = self.chunk - (short if order[place] == last else 0)
            if begin >= high:
                break
            first, end = max(low, begin), min(high, begin + size)
            if first < end:
                found.append((order[place], first - begin, end - begin))
            place += 1
        return found


def left_over(plan: Windows, layers: Sequence[Sequence[int]]) -> list[Left]:
    """Return what is left of each window, in order, windows without a batch left out.

    Each layer was a run over what was left before it: shard s of S = len(layer) took the windows
    s, s + S, ... of it and gave their first layer[s] batches.
    """
    left = [(window, 0, count) for window, count in enumerate(plan.batches())]
    for layer in layers:
        shards = [after(left[shard :: len(layer)], given) for shard, given in enumerate(layer)]
        left = sorted(window for shard in shards for window in shard)
    return left


def after(windows: Sequence[Left], given: int) -> list[Left]:
    """Return the windows without their first ``given`` batches."""
    left = []
    for window, begin, end in windows:
        taken = min(given, end - begin)
        given -= taken
        if begin + taken < end:
            left.append((window, begin + taken, end))
    return left
