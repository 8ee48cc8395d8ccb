"""Batches without a worker process: everything stays on the device, a batch is one gather."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count as count_from

import torch
from torch import Tensor

from .codecs.base import Samples
from .distill.augment import AUGMENTATIONS, augment
from .distill.rng import generator
from .errors import UsageError

Augment = Callable[[Tensor, torch.Generator], Tensor]


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


def find_augmentation(name: str | Augment) -> Augment | None:
    """Return what ``augment`` of a loader means: None for ``none``, a function else.

    Raises UsageError for a name that is not in ``distill.augment``.
    """
    if callable(name):
        return name
    if name not in AUGMENTATIONS:
        known = ", ".join(AUGMENTATIONS)
        raise UsageError(f"augment={name!r} is unknown; use one of {known}, or a function")
    return None if name == "none" else lambda x, random: augment(x, name, random)


class Batches:
    """One epoch of (images, labels) batches, or all epochs without end, all on one device.

    Iterating again gives the same batches again; another epoch is another object. The index of
    the whole epoch is moved to the device once, so no step waits for the host.
    """

    def __init__(
        self,
        samples: Samples,
        labels: Tensor,
        batch_size: int,
        *,
        shuffle: bool,
        seed: int,
        epoch: int,
        drop_last: bool,
        augment: Augment | None = None,
        infinite: bool = False,
    ) -> None:
        """Take samples and their labels (N, ...) on the same device.

        ``augment`` maps a batch and a generator, keyed by seed, epoch and batch, to a batch.

        Raises UsageError for a batch size under 1, a negative seed or a negative epoch.
        """
        for name, value, least in (
            ("batch_size", batch_size, 1),
            ("seed", seed, 0),
            ("epoch", epoch, 0),
        ):
            if value < least:
                raise UsageError(f"{name} must be at least {least}, got {value}")
        self._samples = samples
        self._labels = labels
        self._batch_size = batch_size
        self._order = (shuffle, seed, epoch)
        self._augment = augment
        self._infinite = infinite
        count = len(samples) // samples.variations
        self._used = count - count % batch_size if drop_last else count

    def __len__(self) -> int:
        """Return the number of batches; raises TypeError where they have no end."""
        if self._infinite:
            raise TypeError("infinite batches have no length")
        return -(-self._used // self._batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Give images float32 (B, C, H, W) and their labels (B, ...); the last B may be less."""
        shuffle, seed, epoch = self._order
        if self._infinite and self._used == 0:
            raise UsageError("drop_last leaves no batch; take smaller batches")
        for number in count_from(epoch) if self._infinite else (epoch,):
            yield from self._one_epoch(shuffle, seed, number)

    def _one_epoch(self, shuffle: bool, seed: int, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        count, sets = len(self._samples), self._samples.variations
        shares = self._samples.shares
        if shuffle:
            order = epoch_order(count, seed, epoch, shares, sets)
        else:
            order = torch.arange(count // sets) + epoch % sets * (count // sets)
        order = order.to(self._labels.device)
        for start in range(0, self._used, self._batch_size):
            index = order[start : start + self._batch_size]
            images = self._samples.gather(index)
            if self._augment is not None:
                images = self._augment(images, generator(seed, "augment", epoch, start))
            yield images, self._labels.index_select(0, index)
