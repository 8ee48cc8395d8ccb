"""Random numbers keyed by what they are for, and the order of an epoch that follows from them.

No generator state is ever stored.
"""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor


def key(seed: int, *path: int | str) -> int:
    """Return a 63-bit key for ``path`` under ``seed``: the head of a SHA-256."""
    # Of a tensor the number; its own text says more.
    parts = (part if isinstance(part, (str, int)) else operator.index(part) for part in path)
    text = "/".join([str(operator.index(seed)), *map(str, parts)])
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
    """Return the order of an epoch, a permutation of 0..count - 1 as int64 (count,) on the CPU.

    With ``shares`` (see ``Samples``) it has ``count`` samples too, but each stage gives as many as
    its share says: some of them none, some several times. A stage gives all its samples before it
    gives one again.

    With ``variations`` > 1 it has count / variations samples: those of set epoch mod variations.

    A pure function of its arguments: no earlier epoch needs to have been drawn.
    """
    random = generator(seed, "order", epoch)
    if variations > 1:
        each = count // variations
        return torch.randperm(each, generator=random) + epoch % variations * each
    if shares is None:
        return torch.randperm(count, generator=random)
    size = count // len(shares)
    draws = []
    for stage, given in enumerate(apportion(count, shares)):
        rounds = [torch.randperm(size, generator=random) for _ in range(-(-given // size))]
        draws.append(torch.cat([*rounds, torch.empty(0, dtype=torch.int64)])[:given] + stage * size)
    return torch.cat(draws)[torch.randperm(count, generator=random)]


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
