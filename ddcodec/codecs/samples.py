"""What a decoded file gives: images with soft labels, gathered by index."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..runtime.world import neutral_tensors

if TYPE_CHECKING:
    from ..nn.views import Teacher
    from ..runtime.progress import Reporter

Device = torch.device | str
Index = NDArray[np.int64] | Tensor  # on the CPU an array, elsewhere a tensor, there

HELD_BYTES = 64 << 20  # of all images of a file; where they are fewer, they are held ready
FEW = 1 << 16  # values; a copy of more torch shares among its threads


class Rows:
    """The rows of a tensor (N, ...), from which batches are copied.

    On the CPU NumPy copies few values, and all where torch has one thread: its call takes a
    microsecond and torch's more than two, which is most of the time of a batch of small images.

    Attributes:
        tensor: all rows.
    """

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor
        self._values = prod(tensor.shape[1:])
        self._array = tensor.numpy() if tensor.is_cpu else None
        self._few: Callable[[Index], Tensor] = self._by_torch
        if self._array is not None:
            take, tensor_of = self._array.take, torch.from_numpy
            self._few = lambda index: tensor_of(take(index, 0))

    def __reduce__(self) -> tuple[Any, ...]:
        return Rows, (self.tensor,)  # torch shares a tensor's memory with other processes

    def index(self, order: NDArray[np.int64]) -> Index:
        """Return an order as ``take`` wants it, whole or a slice of it: where the rows are."""
        return order if self._array is not None else torch.from_numpy(order).to(self.tensor.device)

    def take(self, index: Index) -> Tensor:
        """Return the rows at ``index`` (B,), 0 <= i < N, as a tensor (B, ...) of its own."""
        return self.taker(len(index))(index)

    def taker(self, size: int) -> Callable[[Index], Tensor]:
        """Return ``take`` for many batches of at most ``size`` rows."""
        many = size * self._values > FEW and torch.get_num_threads() > 1
        return self._by_torch if many else self._few

    def _by_torch(self, index: Index) -> Tensor:
        return self.tensor.index_select(0, as_tensor(index))


class Samples(ABC):
    """The decoded training set: ``len(self)`` images with one soft label each.

    Attributes:
        labels: soft labels, float32 (N, classes), rows sum to 1.
        image_shape: (C, H, W) of one sample.
        shares: where samples come in stages of equally many, one after the other, the probability
            with which each stage is drawn; None where all samples are alike.
        variations: where samples come in sets of equally many, one after the other, of which each
            epoch shows one, in turn: how many sets. 1 where every epoch shows all samples.
        teacher: where the file holds a network for it, what labels augmented images as they are
            drawn; ``labels`` are those of the images as they are. It sees preprocessed images, so
            samples before the preprocessing have none.

    Images are float32 in the space of the file's preprocessing (that of ``preprocess(x)``).
    """

    labels: NDArray[np.float32]
    image_shape: tuple[int, int, int]
    shares: tuple[float, ...] | None = None
    variations: int = 1
    teacher: Teacher | None = None
    _rows: Rows | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def bytes(self) -> Samples | None:
        """The same samples before the preprocessing, uint8, where that is exact; else None."""
        return None

    @property
    def rows(self) -> Rows | None:
        """All images as ``gather`` gives them, made on first use; None where that is too much."""
        if self._rows is None and len(self) * prod(self.image_shape) * 4 <= HELD_BYTES:
            with neutral_tensors():
                self._rows = Rows(self.gather(torch.arange(len(self))).contiguous())
        return self._rows

    def take(self, index: Index) -> Tensor:
        """Return what ``gather`` does, from ``rows`` where there are such."""
        rows = self._rows or self.rows
        return self.gather(as_tensor(index)) if rows is None else rows.take(index)

    def __getstate__(self) -> dict[str, Any]:
        """Return the state of a copy and for another process, without what they make themselves."""
        return {**self.__dict__, "_rows": None}

    @abstractmethod
    def gather(self, index: Tensor) -> Tensor:
        """Return the images at ``index`` (int64 (B,), 0 <= i < N) as float32 (B, C, H, W)."""

    @abstractmethod
    def to(self, device: Device) -> Samples:
        """Return the same samples with their storage on ``device`` (``gather`` answers there)."""

    def prepare(self, reporter: Reporter) -> None:  # noqa: B027
        """Make now what would be made when it is asked for, as far as memory goes."""


def as_tensor(index: Index) -> Tensor:
    """Return an index as a tensor, which shares its memory."""
    return index if isinstance(index, Tensor) else torch.from_numpy(index)
