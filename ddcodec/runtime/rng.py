"""Random numbers keyed by what they are for, and the order of an epoch that follows from them.

No generator state is ever stored.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from operator import index

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def key(seed: int, *path: int | str) -> int:
    """Return a 63-bit key for ``path`` under ``seed``: the head of a SHA-256."""
    # Of a tensor the number; its own text says more.
    parts = (part if isinstance(part, (str, int)) else index(part) for part in path)
    return _key_of("/".join([str(index(seed)), *map(str, parts)]))


def _key_of(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *path: int | str) -> torch.Generator:
    """Return a fresh CPU generator for ``path``; equal arguments give equal numbers.

    Numbers are drawn on the CPU and moved, so a GPU run starts from the same networks.
    """
    return torch.Generator().manual_seed(key(seed, *path))


@contextmanager
def seeded(device: torch.device, seed: int, *path: int | str) -> Iterator[None]:
    """Run the body with torch's global generators keyed by ``path``; their states come back.

    For what takes no generator: dropout, and the initialisers of other libraries.
    """
    number = key(seed, *path)
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(number)
        for one in devices:
            with torch.cuda.device(one):
                torch.cuda.manual_seed(number)
        yield


def epoch_order(
    count: int,
    seed: int,
    epoch: int,
    shares: Sequence[float] | None = None,
    variations: int = 1,
) -> Tensor:
    """Return ``epoch_index`` as a tensor on the CPU."""
    return torch.from_numpy(epoch_index(count, seed, epoch, shares, variations))


def epoch_index(
    count: int,
    seed: int,
    epoch: int,
    shares: Sequence[float] | None = None,
    variations: int = 1,
) -> NDArray[np.int64]:
    """Return the order of an epoch, a permutation of 0..count - 1 as int64 (count,).

    With ``shares`` (see ``Samples``) it has ``count`` samples too, but each stage gives as many as
    its share says: some of them none, some several times. A stage gives all its samples before it
    gives one again.

    With ``variations`` > 1 it has count / variations samples: those of set epoch mod variations.

    A pure function of its arguments: no earlier epoch needs to have been drawn.
    """
    drawn = _drawn
    drawn.random.manual_seed(_key_of(f"{index(seed)}/order/{index(epoch)}"))
    if shares is None:
        each = count // variations
        order = drawn.permutation(each)
        return order if variations == 1 else order + epoch % variations * each
    size = count // len(shares)
    draws = []
    for stage, given in enumerate(apportion(count, shares)):
        rounds = [drawn.permutation(size) for _ in range(-(-given // size))]
        draws.append(np.concatenate([*rounds, np.empty(0, np.int64)])[:given] + stage * size)
    return np.concatenate(draws)[drawn.permutation(count)]


class _Drawn(threading.local):
    """What a thread draws its orders with. A small set has thousands of epochs a second, in which
    a new generator and a new tensor would take more time than the numbers."""

    def __init__(self) -> None:
        self.random = torch.Generator("cpu")  # seeded before each use
        self._make_room(0)

    def permutation(self, count: int) -> NDArray[np.int64]:
        """Return a permutation of 0..count - 1."""
        if len(self._array) != count:
            self._make_room(count)
        torch.randperm(count, generator=self.random, device="cpu", out=self._tensor)
        return self._array.copy()

    def _make_room(self, count: int) -> None:
        with torch.inference_mode(False):
            self._tensor = torch.empty(count, dtype=torch.int64, device="cpu")
            self._array = self._tensor.numpy()


_drawn = _Drawn()


def apportion(count: int, shares: Sequence[float]) -> list[int]:
    """Return whole numbers that sum to ``count``, each as near to its share as can be.

    What is left over goes to the largest remainders, of equal ones to the first.
    """
    exact = [count * share / sum(shares) for share in shares]
    parts = [int(x) for x in exact]
    left = sorted(range(len(parts)), key=lambda i: parts[i] - exact[i])
    for i in left[: count - sum(parts)]:
        parts[i] += 1
    return parts
