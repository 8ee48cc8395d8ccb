"""A small pool of networks in training, so that an outer step need not train one from scratch.

Used by the quick profile only; the paper draws a fresh network for every outer step.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..runtime.rng import generator
from .networks import ConvNet
from .rat_bptt import AdamState


class NetworkPool:
    """``size`` network states of mixed age; each is replaced when it reaches its lifetime.

    Everything random is keyed by (seed, slot, generation), so the pool is restored exactly from
    its tensors and counters.
    """

    def __init__(
        self,
        net: ConvNet,
        size: int,
        lifetime: tuple[int, int],
        seed: int,
        device: torch.device,
    ) -> None:
        self._net = net
        self._lifetime = lifetime
        self._seed = seed
        self._device = device
        self._generation = [0] * size
        self._states = [self._fresh(slot) for slot in range(size)]

    def __len__(self) -> int:
        return len(self._states)

    def __getitem__(self, slot: int) -> AdamState:
        return self._states[slot]

    def replace(self, slot: int, state: AdamState) -> None:
        """Put an older state back, or a fresh network where its lifetime is over."""
        if state.step >= self._limit(slot):
            self._generation[slot] += 1
            state = self._fresh(slot)
        self._states[slot] = state

    def _limit(self, slot: int) -> int:
        low, high = self._lifetime
        g = generator(self._seed, "lifetime", slot, self._generation[slot])
        return int(torch.randint(low, high + 1, (1,), generator=g))

    def _fresh(self, slot: int) -> AdamState:
        g = generator(self._seed, "network", slot, self._generation[slot])
        return AdamState.fresh(self._net.init(g, self._device))

    def tensors(self) -> dict[str, Tensor]:
        """Return the pool as tensors for a checkpoint."""
        return {
            "pool.flat": torch.stack([s.flat for s in self._states]),
            "pool.m": torch.stack([s.m for s in self._states]),
            "pool.v": torch.stack([s.v for s in self._states]),
            "pool.step": torch.tensor([s.step for s in self._states]),
            "pool.generation": torch.tensor(self._generation),
        }

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take the states from a checkpoint's tensors."""
        steps = tensors["pool.step"].tolist()
        self._generation = [int(g) for g in tensors["pool.generation"].tolist()]
        parts = [tensors[f"pool.{name}"].to(self._device) for name in ("flat", "m", "v")]
        states = zip(*parts, steps, strict=True)
        self._states = [AdamState(f, m, v, int(step)) for f, m, v, step in states]
