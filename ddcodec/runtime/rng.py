"""Random numbers keyed by what they are for, so that no generator state is ever stored."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def key(seed: int, *path: int | str) -> int:
    """Return a 63-bit key for ``path`` under ``seed``: the head of a SHA-256."""
    text = "/".join([str(seed), *map(str, path)])
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
