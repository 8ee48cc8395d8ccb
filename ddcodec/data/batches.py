"""Batches without a worker process: everything stays on the device, a batch is one gather."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count as count_from

import torch
from torch import Tensor

from ..codecs.samples import Samples
from ..errors import UsageError
from ..nn.augment import Augment
from ..runtime.rng import epoch_order, generator


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
