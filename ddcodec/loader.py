"""Batches without a worker process: everything stays on the device, a batch is one gather."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from .codecs.base import Samples
from .distill.rng import generator
from .errors import UsageError


def epoch_order(count: int, seed: int, epoch: int) -> Tensor:
    """Return the order of an epoch, a permutation of 0..count - 1 as int64 (count,) on the CPU.

    A pure function of its arguments: no earlier epoch needs to have been drawn.
    """
    return torch.randperm(count, generator=generator(seed, "order", epoch))


class Batches:
    """One epoch of (images, labels) batches, all on one device.

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
    ) -> None:
        """Take samples and their labels (N, ...) on the same device.

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
        count = len(samples)
        self._used = count - count % batch_size if drop_last else count

    def __len__(self) -> int:
        """Return the number of batches."""
        return -(-self._used // self._batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Give images float32 (B, C, H, W) and their labels (B, ...); the last B may be less."""
        shuffle, seed, epoch = self._order
        count = len(self._samples)
        order = epoch_order(count, seed, epoch) if shuffle else torch.arange(count)
        order = order.to(self._labels.device)
        for start in range(0, self._used, self._batch_size):
            index = order[start : start + self._batch_size]
            yield self._samples.gather(index), self._labels.index_select(0, index)
