"""The windows of a long row of chunks: whole batches that are in memory, and shuffled, together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

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

    def chunk_order(self, seed: int, epoch: int, shuffle: bool) -> NDArray[np.int64]:
        """Return the order in which chunks make the long row of an epoch."""
        chunks = -(-self.count // self.chunk)
        if not shuffle:
            return np.arange(chunks)
        order: NDArray[np.int64] = torch.randperm(
            chunks, generator=generator(seed, "chunks", epoch)
        ).numpy()
        return order

    def parts(self, window: int, order: NDArray[np.int64]) -> list[tuple[int, int, int]]:
        """Return (chunk, begin, end) of what a window takes, rows counted within the chunk."""
        low = window * self.length
        high = min(low + self.length, self.used)
        sizes = np.minimum(self.chunk, self.count - order * self.chunk)  # the last may have fewer
        ends = np.cumsum(sizes)
        first, last = np.searchsorted(ends, (low + 1, high))  # places that hold the first and last
        found = np.stack((order, sizes, ends), 1)[first : last + 1].tolist()
        return [
            (chunk, max(0, low - (end - size)), size - max(0, end - high))
            for chunk, size, end in found
        ]


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
