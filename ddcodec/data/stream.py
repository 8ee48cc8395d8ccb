"""A decoded data set as a stream: shared out over ranks and workers, resumable to the sample.

The order of an epoch is a pure function of (seed, epoch). Its units, samples or whole batches, are
dealt like cards: unit k goes to rank k mod R, and there to worker (k div R) mod W. So every unit is
given once, whatever R and W are, and a DataLoader that takes turns between its workers gives the
batches of a rank in one order for any number of workers.

A state says how many units each shard has given. Whoever knows the states of all shards can go on
with another number of them: what is left of the epoch is dealt anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..errors import UsageError
from ..runtime.rng import epoch_order
from .shards import ShardedStream

if TYPE_CHECKING:
    from .dataset import DistilledDataset


class SampleStream(ShardedStream):
    """Gives (image, label) pairs, or whole batches of them where ``batch_size`` is set.

    With ``batch_size`` put it into a ``DataLoader(stream, batch_size=None)``: the batches then
    come in the same order for any number of workers. ``set_epoch`` before each epoch gives each
    its own order; it reaches persistent workers too.
    """

    def __init__(
        self,
        ds: DistilledDataset,
        *,
        seed: int = 0,
        shuffle: bool = True,
        batch_size: int | None = None,
        drop_last: bool = False,
        even: bool = False,
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        """Share out ``ds``.

        Args:
            ds: the data set; its transforms apply to single samples.
            seed, shuffle: of the order.
            batch_size: give batches (images (B, C, H, W), labels (B, ...)) instead of pairs.
            drop_last: leave out a last batch that is not full.
            even: leave out the last units of an epoch so that every rank gives as many.
            rank, world_size: by default those of torch.distributed or of torchrun, else 0 of 1.

        Raises UsageError for numbers out of range, and for batches of a set with transforms.
        """
        if seed < 0 or (batch_size is not None and batch_size < 1):
            raise UsageError("seed must be 0 or more and batch_size 1 or more")
        if batch_size is not None and (ds.transform or ds.target_transform):
            raise UsageError("transforms work on single samples; leave batch_size out")
        settings = {
            "digest": ds.manifest.content_digest,
            "seed": seed,
            "shuffle": shuffle,
            "batch_size": batch_size,
            "drop_last": drop_last,
            "even": even,
        }
        super().__init__(settings, rank, world_size)
        self._ds = ds

    def __len__(self) -> int:
        """Return the units that this rank gives in a whole epoch."""
        count = self._unit_count()
        used = count - count % self._world if self._settings["even"] else count
        return len(range(self._rank, used, self._world))

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        """Give this rank's and this worker's units of the epoch, or what is left of them."""
        shards, shard, skip = self._begin()
        units = left_over(self._unit_count(), self._layers)
        if self._settings["even"]:
            units = units[: len(units) - len(units) % self._world]
        return self._give(units[shard::shards].tolist(), shards, shard, skip)

    def _give(
        self, units: list[int], shards: int, shard: int, skip: int
    ) -> Iterator[tuple[Any, Any]]:
        order = self._order()
        for given in range(skip, len(units)):
            self._now = (shards, shard, given + 1)
            yield self._unit(order, units[given])
        # Until the next iteration, which begins an epoch, the state says that this one is over.
        self._over = True

    def _unit_count(self) -> int:
        count, size = len(self._ds) // self._ds.variations, self._settings["batch_size"]
        if size is None:
            return count
        return count // int(size) if self._settings["drop_last"] else -(-count // int(size))

    def _order(self) -> Tensor:
        samples, sets = self._ds.on("cpu")[0], self._ds.variations
        if self._settings["shuffle"]:
            seed = self._settings["seed"]
            return epoch_order(len(self._ds), seed, self.epoch, samples.shares, sets)
        each = len(self._ds) // sets
        return torch.arange(each) + self.epoch % sets * each

    def _unit(self, order: Tensor, unit: int) -> tuple[Any, Any]:
        size = self._settings["batch_size"]
        if size is None:
            item: tuple[Any, Any] = self._ds[int(order[unit])]
            return item
        index = order[unit * size : (unit + 1) * size]
        samples, labels = self._ds.on("cpu")
        return samples.gather(index), labels.index_select(0, index)


def left_over(count: int, layers: Sequence[Sequence[int]]) -> Tensor:
    """Return the units 0..count - 1 that are left, int64, in order.

    Each layer was a run over what was left before it: shard s of S = len(layer) took the units
    s, s + S, ... of it and gave the first layer[s] of these.
    """
    units = torch.arange(count)
    for layer in layers:
        keep = torch.ones(len(units), dtype=torch.bool)
        for shard, given in enumerate(layer):
            keep[shard :: len(layer)][:given] = False
        units = units[keep]
    return units
