"""The newest poster among frozen ones: all of them train the networks, one of them learns."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from ..podd.stored import StoredBits
from ..podd.variables import PosterVariables


@dataclass(frozen=True)
class FrozenStage:
    """What a finished stage has learned, poster (C, H, W) and labels, and its accuracy."""

    learned: dict[str, Tensor]
    accuracy: float


class StagedVariables(PosterVariables):
    """``PosterVariables`` of the newest stage whose patches come after those of frozen stages.

    ``freeze`` ends a stage, ``begin`` starts the next one. Every method of the base class speaks
    of the newest stage, but for these: ``expand`` gives the patches of all stages, oldest first,
    and ``draw`` chooses among them by the stages' shares.

    Attributes:
        frozen: the stages that are done.
        shares: with which probability each stage is drawn, the newest last.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.frozen: list[FrozenStage] = []
        self.shares: list[float] = [1.0]
        self._old: list[tuple[Tensor, Tensor]] = []  # patches and labels of every frozen stage

    def freeze(self, accuracy: float, stored: StoredBits) -> None:
        """Keep the newest stage; from now on it trains networks as the file will hold it."""
        learned = {name: tensor.clone() for name, tensor in self.learned.items()}
        self.frozen.append(FrozenStage(learned, accuracy))
        self._old.append((self.patches(stored), self.labels(stored).clone()))

    def begin(self, learned: dict[str, Tensor], shares: list[float]) -> None:
        """Start a stage from a poster and labels, drawn with ``shares``, the newest last."""
        assert len(shares) == len(self.frozen) + 1
        self.set(learned)
        self.shares = shares

    def expand(self, stored: StoredBits | None = None) -> tuple[Tensor, Tensor]:
        """Return patches (T P, C, h, w) and labels (T P, n) of all stages, oldest first."""
        patches, labels = super().expand(stored)
        return (
            torch.cat([*(old for old, _ in self._old), patches]),
            torch.cat([*(old for _, old in self._old), labels]),
        )

    def pull_back(self, grad_patches: Tensor, grad_labels: Tensor | None) -> list[Tensor]:
        """Carry gradients back to the newest stage; those of the others are let go."""
        count = self.geometry.num_patches
        newest = None if grad_labels is None else grad_labels[-count:]
        return super().pull_back(grad_patches[-count:], newest)

    def draw(self, size: int, steps: int, g: torch.Generator) -> list[Tensor | None]:
        """Return the patches of ``steps`` inner batches, as many as one stage has at most.

        A batch has from each stage its share, rounded up or down at random, and no patch twice.
        """
        if not self.frozen:
            return super().draw(size, steps, g)
        count = self.geometry.num_patches
        size = count if size == 0 else min(size, count)
        ends = torch.tensor(self.shares, dtype=torch.float64).cumsum(0) * size
        ends[-1] = size
        draws: list[Tensor] = []
        for _ in range(steps):
            shift = torch.rand((), generator=g, dtype=torch.float64)
            marks = [0, *(ends + shift).floor().long().tolist()]
            parts = [
                torch.randperm(count, generator=g)[: after - before] + stage * count
                for stage, (before, after) in enumerate(pairwise(marks))
            ]
            draws.append(torch.cat(parts))
        return self._moved(draws)

    def kept(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the frozen stages and the shares for a checkpoint."""
        tensors = {
            f"frozen.{name}.{number}": tensor
            for number, stage in enumerate(self.frozen)
            for name, tensor in stage.learned.items()
        }
        return tensors, {"accuracies": [f.accuracy for f in self.frozen], "shares": self.shares}

    def take(self, tensors: dict[str, Tensor], meta: dict[str, Any], stored: StoredBits) -> None:
        """Take back what ``kept`` gave."""
        for number, accuracy in enumerate(meta["accuracies"]):
            self.set({name: tensors[f"frozen.{name}.{number}"] for name in self.learned})
            self.freeze(float(accuracy), stored)
        self.shares = [float(share) for share in meta["shares"]]
