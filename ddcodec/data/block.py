"""Samples that were gathered together, as a sequence that need not be taken apart.

A DataLoader asks for all samples of a batch at once and then stacks them one by one, which takes
many times longer than gathering them. Its default collation can be told what to do with a type:
a ``Block`` of ``Sample`` pairs is returned as the two tensors that it holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, overload

from torch import Tensor
from torch.utils.data import default_collate
from torch.utils.data._utils.collate import default_collate_fn_map


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
