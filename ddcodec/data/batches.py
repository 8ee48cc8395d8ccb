"""Whole batches: without a worker process, or gathered for a DataLoader as a ``Block``.

A DataLoader asks for all samples of a batch at once and then stacks them one by one, which takes
many times longer than gathering them. Its default collation can be told what to do with a type:
a ``Block`` of ``Sample`` pairs is returned as the two tensors that it holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count as count_from
from typing import Any, NamedTuple, overload

import torch
from torch import Tensor
from torch.utils.data import default_collate
from torch.utils.data._utils.collate import default_collate_fn_map

from ..codecs.samples import Samples
from ..errors import UsageError, require_at_least
from ..nn.augment import Augment
from ..runtime.rng import epoch_order, generator
from ..runtime.world import neutral_tensors


@dataclass(frozen=True, eq=False)
class Batches:
    """One epoch of (images, labels) batches, or all epochs without end, all on one device.

    Iterating again gives the same batches again; another epoch is another object. The index of
    the whole epoch is moved to the device once, so no step waits for the host.
    """

    samples: Samples
    labels: Tensor  # (N, ...), on the device of the samples
    batch_size: int
    shuffle: bool
    seed: int
    epoch: int
    drop_last: bool
    augment: Augment | None  # keyed by seed, epoch and batch
    infinite: bool

    def __post_init__(self) -> None:
        """Raise UsageError for a batch size under 1, a negative seed or a negative epoch."""
        require_at_least(1, batch_size=self.batch_size)
        require_at_least(0, seed=self.seed, epoch=self.epoch)

    @property
    def _used(self) -> int:
        count = len(self.samples) // self.samples.variations
        return count - count % self.batch_size if self.drop_last else count

    def __len__(self) -> int:
        """Return the number of batches; raises TypeError where they have no end."""
        if self.infinite:
            raise TypeError("infinite batches have no length")
        return -(-self._used // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Give images float32 (B, C, H, W) and their labels (B, ...); the last B may be less."""
        if self.infinite and self._used == 0:
            raise UsageError("`drop_last` leaves no batch; take smaller batches")
        for epoch in count_from(self.epoch) if self.infinite else (self.epoch,):
            with neutral_tensors():
                order = order_of(self.samples, self.seed if self.shuffle else None, epoch)
                order = order.to(self.labels.device)
            for start in range(0, self._used, self.batch_size):
                with neutral_tensors():
                    index = order[start : start + self.batch_size]
                    images = self.samples.gather(index)
                    labels = self.labels.index_select(0, index)
                if self.augment is not None:
                    images = self.augment(images, generator(self.seed, "augment", epoch, start))
                yield images, labels


def order_of(samples: Samples, seed: int | None, epoch: int) -> Tensor:
    """Return the indices that an epoch shows, int64 on the CPU; without a seed in their order."""
    count, sets = len(samples), samples.variations
    if seed is not None:
        return epoch_order(count, seed, epoch, samples.shares, sets)
    each = count // sets
    return torch.arange(each) + epoch % sets * each


class Sample(NamedTuple):
    """One image (C, H, W) and its label: (classes,), or a scalar class index."""

    image: Tensor
    label: Tensor


class Block(Sequence[Sample]):
    """The samples of one gather: images (B, C, H, W) and labels (B, ...)."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.labels)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> Block: ...
    def __getitem__(self, index: int | slice) -> Sample | Block:
        """Return one sample, or a part of the block; both share its memory."""
        if isinstance(index, slice):
            return Block(self.images[index], self.labels[index])
        return Sample(self.images[index], self.labels[index])

    def __iter__(self) -> Iterator[Sample]:
        return map(Sample, self.images.unbind(), self.labels.unbind())


def collate(batch: Sequence[Sample], *, collate_fn_map: Any = None) -> list[Any]:
    """Return [images, labels] of a batch; a whole ``Block`` is not copied again."""
    del collate_fn_map
    if isinstance(batch, Block):
        return [batch.images, batch.labels]
    return [default_collate(list(part)) for part in zip(*batch, strict=True)]


# The way that PyTorch documents for types of one's own; no other type is touched.
default_collate_fn_map[Sample] = collate
