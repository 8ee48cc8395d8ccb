"""Whole batches: without a worker process, or gathered for a DataLoader as a ``Block``.

A DataLoader asks for all samples of a batch at once and then stacks them one by one, which takes
many times longer than gathering them. Its default collation can be told what to do with a type:
a ``Block`` of ``Sample`` pairs is returned as the two tensors that it holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count as count_from
from operator import is_
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import default_collate
from torch.utils.data._utils.collate import default_collate_fn_map

from ..codecs.samples import Rows, Samples
from ..errors import UsageError
from ..nn.views import Draw
from ..runtime.arguments import whole
from ..runtime.rng import epoch_index, generator
from ..runtime.world import neutral_tensors


@dataclass(eq=False, slots=True)
class Batches:
    """One epoch of (images, labels) batches, or all epochs without end, all on one device.

    Iterating again gives the same batches again; another epoch is another object. On an
    accelerator the index of the whole epoch is moved there once, so no step waits for the host.
    """

    samples: Samples
    labels: Rows  # (N, ...), on the device of the samples
    batch_size: int
    shuffle: bool
    seed: int
    epoch: int
    drop_last: bool
    augment: Draw | None  # of images and labels, keyed by seed, epoch and batch
    infinite: bool

    def __post_init__(self) -> None:
        """Raise UsageError for a batch size under 1, a negative seed or a negative epoch."""
        size, seed, epoch = self.batch_size, self.seed, self.epoch
        if type(size) is type(seed) is type(epoch) is int and size > 0 <= seed and epoch >= 0:
            return  # nearly always; an epoch of few images takes ten microseconds
        self.batch_size = whole("batch_size", size, 1)
        self.seed, self.epoch = whole("seed", seed, 0), whole("epoch", epoch, 0)

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
        used, size, samples, augment = self._used, self.batch_size, self.samples, self.augment
        seed, labels = self.seed if self.shuffle else None, self.labels
        rows, labels_at = samples.rows, labels.taker(self.batch_size)
        images_at = None if rows is None else rows.taker(self.batch_size)
        if self.infinite and used == 0:
            raise UsageError("`drop_last` leaves no batch; take smaller batches")
        for epoch in count_from(self.epoch) if self.infinite else (self.epoch,):
            order = labels.index(order_of(samples, seed, epoch))
            for start in range(0, used, size):
                part = order[start : start + size]
                if images_at is None or torch.is_inference_mode_enabled():
                    with neutral_tensors():
                        x, y = samples.take(part), labels_at(part)
                else:  # copies by index are the same in any other world
                    x, y = images_at(part), labels_at(part)
                if augment is not None:
                    x, y = augment(x, y, view_key(self.seed, epoch, start))
                yield x, y


def view_key(seed: int, epoch: int, start: int) -> torch.Generator:
    """Return what a batch is augmented by, ``start`` its first place in the order of an epoch."""
    return generator(seed, "augment", epoch, start)


def order_of(samples: Samples, seed: int | None, epoch: int) -> NDArray[np.int64]:
    """Return the indices that an epoch shows; without a seed in their order."""
    count, sets = len(samples), samples.variations
    if seed is not None:
        return epoch_index(count, seed, epoch, samples.shares, sets)
    each = count // sets
    return np.arange(each) + epoch % sets * each


class Sample(NamedTuple):
    """One image (C, H, W) and its label: (classes,), or a scalar class index."""

    image: Tensor
    label: Tensor


class Block(list[Sample]):
    """The samples of one gather: a list, as a ``collate_fn`` expects, that knows both tensors.

    Attributes:
        images, labels: (B, C, H, W) and (B, ...), whose memory the samples share.
    """

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        super().__init__(map(Sample, images.unbind(), labels.unbind()))
        self.images, self.labels = images, labels
        self._made = tuple(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return (Block, (self.images, self.labels)) if self.whole() else (list, (list(self),))

    def whole(self) -> bool:
        """Say whether the list still is what it was made as."""
        return len(self) == len(self._made) and all(map(is_, self, self._made))


def collate(batch: Sequence[Sample], *, collate_fn_map: Any = None) -> list[Any]:
    """Return [images, labels] of a batch; a whole ``Block`` is not copied again."""
    del collate_fn_map
    if isinstance(batch, Block) and batch.whole():
        return [batch.images, batch.labels]
    return [default_collate(list(part)) for part in zip(*batch, strict=True)]


# The way that PyTorch documents for types of one's own; no other type is touched.
default_collate_fn_map[Sample] = collate
